#include <napi.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5, include/uapi/asm-generic/socket.h
#endif

namespace assayer {

namespace {

Napi::Error SystemError(Napi::Env env, const char* call, int code) {
  Napi::Error error = Napi::Error::New(env, std::string(call) + ": " + std::strerror(code));
  error.Set("errno", Napi::Number::New(env, code));
  return error;
}

/// A pidfd: stays with its process, whatever becomes of the number.
class Pidfd : public Napi::ObjectWrap<Pidfd> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Pidfd", {InstanceMethod<&Pidfd::IsAlive>("isAlive"), InstanceMethod<&Pidfd::Close>("close")});
  }

  /// Takes over the descriptor in info[0].
  explicit Pidfd(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Pidfd>(info), fd_(info[0].As<Napi::Number>().Int32Value()) {}
  ~Pidfd() override { Release(); }
  Pidfd(const Pidfd&) = delete;
  Pidfd& operator=(const Pidfd&) = delete;

 private:
  /// A pidfd becomes readable when its process ends, before anybody reaps it (pidfd_open(2)).
  Napi::Value IsAlive(const Napi::CallbackInfo& info) {
    if (fd_ < 0) return Napi::Boolean::New(info.Env(), false);
    pollfd watched{fd_, POLLIN, 0};
    int ready = 0;
    do {
      ready = poll(&watched, 1, 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) throw SystemError(info.Env(), "poll", errno);
    return Napi::Boolean::New(info.Env(), ready == 0);
  }

  void Close(const Napi::CallbackInfo&) { Release(); }

  void Release() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  int fd_;
};

struct InstanceData {
  Napi::FunctionReference pidfd;
};

Napi::Value OwnedPidfd(Napi::Env env, int fd) {
  try {
    return env.GetInstanceData<InstanceData>()->pidfd.New({Napi::Number::New(env, fd)});
  } catch (const Napi::Error&) {
    close(fd);
    throw;
  }
}

/// credentialsOf(socketFd): { pid, uid, gid }, of whoever called connect(), as it was then (SO_PEERCRED, unix(7))
Napi::Value CredentialsOf(const Napi::CallbackInfo& info) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(info[0].As<Napi::Number>(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    throw SystemError(info.Env(), "SO_PEERCRED", errno);
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", Napi::Number::New(info.Env(), credentials.pid));
  result.Set("uid", Napi::Number::New(info.Env(), credentials.uid));
  result.Set("gid", Napi::Number::New(info.Env(), credentials.gid));
  return result;
}

/// peerPidfd(socketFd): Pidfd, or undefined where the kernel has no SO_PEERPIDFD
Napi::Value PeerPidfd(const Napi::CallbackInfo& info) {
  int fd = -1;
  socklen_t length = sizeof fd;
  if (getsockopt(info[0].As<Napi::Number>(), SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0) return OwnedPidfd(info.Env(), fd);
  if (errno == ENOPROTOOPT) return info.Env().Undefined();
  throw SystemError(info.Env(), "SO_PEERPIDFD", errno);
}

/// openPidfd(pid): Pidfd
Napi::Value OpenPidfd(const Napi::CallbackInfo& info) {
  auto fd = static_cast<int>(syscall(SYS_pidfd_open, info[0].As<Napi::Number>().Int32Value(), 0));  // close-on-exec is always set
  if (fd < 0) throw SystemError(info.Env(), "pidfd_open", errno);
  return OwnedPidfd(info.Env(), fd);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new InstanceData{Napi::Persistent(Pidfd::Define(env))});
  exports.Set("credentialsOf", Napi::Function::New(env, CredentialsOf));
  exports.Set("peerPidfd", Napi::Function::New(env, PeerPidfd));
  exports.Set("openPidfd", Napi::Function::New(env, OpenPidfd));
  return exports;
}

}  // namespace

NODE_API_MODULE(peer, Init)

}  // namespace assayer
