#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "promises.h"
#include "tpm-thread.h"

namespace assayer {

/// `new TpmContext(tcti)`: one connection to a TPM for JavaScript, opened by open(), ended by close() or abandon().
/// Commands give Promises; a failure of the TPM or of tpm2-tss rejects with an Error that has `rc` and `command`.
class TpmContext : public Napi::ObjectWrap<TpmContext> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit TpmContext(const Napi::CallbackInfo& info);
  ~TpmContext() override;

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Abandon(const Napi::CallbackInfo& info);
  Napi::Value ReadProperties(const Napi::CallbackInfo& info);
  Napi::Value ReadAlgorithms(const Napi::CallbackInfo& info);
  Napi::Value ReadCurves(const Napi::CallbackInfo& info);
  Napi::Value ReadClock(const Napi::CallbackInfo& info);
  Napi::Value ReadHandles(const Napi::CallbackInfo& info);
  Napi::Value ReadPcrBanks(const Napi::CallbackInfo& info);
  Napi::Value ReadNv(const Napi::CallbackInfo& info);
  Napi::Value ReadPcrs(const Napi::CallbackInfo& info);
  Napi::Value SetEndorsementAuth(const Napi::CallbackInfo& info);
  Napi::Value CreateEk(const Napi::CallbackInfo& info);
  Napi::Value OpenObject(const Napi::CallbackInfo& info);
  Napi::Value CreateAk(const Napi::CallbackInfo& info);
  Napi::Value ActivateCredential(const Napi::CallbackInfo& info);
  Napi::Value Quote(const Napi::CallbackInfo& info);
  Napi::Value SetOwnerAuth(const Napi::CallbackInfo& info);
  Napi::Value CreateStorageKey(const Napi::CallbackInfo& info);
  Napi::Value CreateKey(const Napi::CallbackInfo& info);
  Napi::Value LoadKey(const Napi::CallbackInfo& info);
  Napi::Value SetKeyAuth(const Napi::CallbackInfo& info);
  Napi::Value SaveContext(const Napi::CallbackInfo& info);
  Napi::Value LoadContext(const Napi::CallbackInfo& info);
  Napi::Value SignDigest(const Napi::CallbackInfo& info);
  Napi::Value ApplyRsaKey(const Napi::CallbackInfo& info);
  Napi::Value CertifyKey(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value FlushForeign(const Napi::CallbackInfo& info);

  /// Runs `run(Tpm&)` on the TPM's thread; `convert(env, result)` makes its value for JavaScript.
  template <class Run, class Convert>
  Napi::Value Enqueue(Napi::Env env, Run run, Convert convert);
  Napi::Value Post(Napi::Env env, std::function<Promises::Value(std::unique_ptr<Tpm>&)> work);
  static void BeforeExit(void* context);

  Napi::Env env_;
  std::string tcti_;
  std::shared_ptr<Promises> promises_;
  /// The number of the close() promise, read by the thread as it ends: declared before the thread.
  std::shared_ptr<uint32_t> closing_ = std::make_shared<uint32_t>(0);
  TpmThread thread_;
  bool ended_ = false;
};

}  // namespace assayer
