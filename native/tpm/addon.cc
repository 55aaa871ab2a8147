#include <napi.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <sys/file.h>

#include "tpm-context.h"

// libtss2-esys calls OpenSSL 3.0 by name, and the program comes first when names are bound: all 61 functions that it uses
// are those of Node's own OpenSSL, none is left to the system's libcrypto, so the two never share a structure. Loading this
// addon with RTLD_DEEPBIND binds them to libcrypto instead, and works as well.

namespace {

/// `tryLock(fd)`: an exclusive flock of an open file, which ends with its last descriptor or with the process.
Napi::Value TryLock(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno == EWOULDBLOCK) return Napi::Boolean::New(info.Env(), false);
  throw Napi::Error::New(info.Env(), "flock: " + std::generic_category().message(errno));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // tpm2-tss writes each failure to stderr too, before anybody could say that it was expected.
  setenv("TSS2_LOG", "all+NONE", 0);
  // process.exit() skips the clean-up of the environment.
  std::atexit(assayer::TpmThread::StopAllAndWait);
  exports.Set("TpmContext", assayer::TpmContext::Define(env));
  exports.Set("tryLock", Napi::Function::New(env, TryLock, "tryLock"));
  return exports;
}

}  // namespace

NODE_API_MODULE(tpm, Init)
