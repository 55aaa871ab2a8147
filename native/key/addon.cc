#include <napi.h>

#include "key-manager-engine.h"
#include "managed-key.h"
#include "raw-key.h"
#include "signing-thread.h"

namespace assayer {

namespace {

Bytes BytesOf(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return Bytes(array.Data(), array.Data() + array.ByteLength());
}

/// A software private key, parsed once; OpenSSL zeroes it when it is freed.
class RawKey : public Napi::ObjectWrap<RawKey> {
 public:
  static void Define(Napi::Env env, Napi::Object exports) {
    exports.Set("RawKey", DefineClass(env, "RawKey", {InstanceMethod<&RawKey::SignDigest>("signDigest"), InstanceMethod<&RawKey::Close>("close")}));
  }

  explicit RawKey(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RawKey>(info) {
    auto der = info[0].As<Napi::Uint8Array>();
    key_ = ParsePrivateKey(der.Data(), der.ByteLength());
    if (key_ != nullptr) return;
    TakeOpensslError();
    throw Napi::Error::New(info.Env(), "not an EC or RSA private key in PKCS #8 DER");
  }

 private:
  Napi::Value SignDigest(const Napi::CallbackInfo& info) {
    if (key_ == nullptr) throw Napi::Error::New(info.Env(), "the key is closed");
    auto digest = info[0].As<Napi::Uint8Array>();
    std::string failure;
    Bytes signature = assayer::SignDigest(key_.get(), digest.Data(), digest.ByteLength(), info[1].As<Napi::String>(),
                                          info[2].As<Napi::String>(), info[3].As<Napi::Number>().Int32Value(), failure);
    if (!signature.empty()) return Napi::Buffer<uint8_t>::Copy(info.Env(), signature.data(), signature.size());
    std::string openssl = TakeOpensslError();
    throw Napi::Error::New(info.Env(), failure.empty() ? openssl : failure);
  }

  void Close(const Napi::CallbackInfo&) { key_.reset(); }

  EvpPkey key_;
};

/// Runs SignAndVerifyOnce away from the calling thread, which stays free; settles with a text, empty on success.
class SelfTest : public Napi::AsyncWorker {
 public:
  SelfTest(Napi::Env env, std::shared_ptr<ManagedKey> key)
      : Napi::AsyncWorker(env, "assayer.selfTest"), key_(std::move(key)), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise Promise() { return deferred_.Promise(); }

 protected:
  void Execute() override { failure_ = SignAndVerifyOnce(key_); }
  void OnOK() override { deferred_.Resolve(Napi::String::New(Env(), failure_)); }

 private:
  std::shared_ptr<ManagedKey> key_;
  Napi::Promise::Deferred deferred_;
  std::string failure_;
};

/// attachSigningThread(onRequest): id
Napi::Value AttachSigningThread(const Napi::CallbackInfo& info) {
  uint32_t id = SigningThread::Attach(info.Env(), info[0]);
  if (id == 0) throw Napi::Error::New(info.Env());
  return Napi::Number::New(info.Env(), id);
}

/// detachSigningThread(id)
void DetachSigningThread(const Napi::CallbackInfo& info) { SigningThread::Detach(info[0].As<Napi::Number>()); }

/// completeSignature(threadId, requestId, signature, failure)
void CompleteSignature(const Napi::CallbackInfo& info) {
  std::shared_ptr<SigningThread> thread = SigningThread::Find(info[0].As<Napi::Number>());
  if (thread == nullptr) return;
  thread->Complete(info[1].As<Napi::Number>(), {BytesOf(info[2]), info[3].As<Napi::String>()});
}

/// registerKey(identifier, publicKey, threadId, deadlineMs)
void RegisterKey(const Napi::CallbackInfo& info) {
  std::string failure = RegisterKeyManagerEngine();
  if (!failure.empty()) throw Napi::Error::New(info.Env(), "OpenSSL takes no engine: " + failure);
  std::shared_ptr<SigningThread> thread = SigningThread::Find(info[2].As<Napi::Number>());
  if (thread == nullptr) throw Napi::Error::New(info.Env(), "no such signing thread");
  auto key = std::make_shared<ManagedKey>(info[0].As<Napi::String>(), BytesOf(info[1]), thread,
                                          std::chrono::milliseconds(info[3].As<Napi::Number>().Uint32Value()));
  if (!ManagedKey::Register(key)) throw Napi::Error::New(info.Env(), "the identifier is taken");
}

std::shared_ptr<ManagedKey> RequireKey(const Napi::CallbackInfo& info) {
  std::shared_ptr<ManagedKey> key = ManagedKey::Find(info[0].As<Napi::String>());
  if (key == nullptr) throw Napi::Error::New(info.Env(), "no such key");
  return key;
}

/// selfTest(identifier): Promise<failure>
Napi::Value RunSelfTest(const Napi::CallbackInfo& info) {
  auto* test = new SelfTest(info.Env(), RequireKey(info));
  Napi::Promise promise = test->Promise();
  test->Queue();
  return promise;
}

/// lastFailure(identifier): text, empty where the newest signature was made
Napi::Value LastFailure(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), RequireKey(info)->LastFailure()); }

/// unregisterKey(identifier)
void UnregisterKey(const Napi::CallbackInfo& info) { ManagedKey::Unregister(info[0].As<Napi::String>()); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  RawKey::Define(env, exports);
  exports.Set("engineId", Napi::String::New(env, kEngineId));
  exports.Set("attachSigningThread", Napi::Function::New(env, AttachSigningThread));
  exports.Set("detachSigningThread", Napi::Function::New(env, DetachSigningThread));
  exports.Set("completeSignature", Napi::Function::New(env, CompleteSignature));
  exports.Set("registerKey", Napi::Function::New(env, RegisterKey));
  exports.Set("selfTest", Napi::Function::New(env, RunSelfTest));
  exports.Set("lastFailure", Napi::Function::New(env, LastFailure));
  exports.Set("unregisterKey", Napi::Function::New(env, UnregisterKey));
  return exports;
}

}  // namespace

NODE_API_MODULE(key, Init)

}  // namespace assayer
