#include "tpm-context.h"

#include "commands.h"

namespace assayer {

namespace {

Bytes BytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "expected a Uint8Array");
  const auto array = value.As<Napi::TypedArray>();
  const auto* start = static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return Bytes(start, start + array.ByteLength());
}

uint32_t NumberOf(const Napi::Value& value) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), "expected a number");
  return value.As<Napi::Number>().Uint32Value();
}

EkAuth EkAuthOf(const Napi::Value& value) {
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (text == "policy-secret") return EkAuth::policySecret;
  if (text == "password") return EkAuth::password;
  throw Napi::TypeError::New(value.Env(), "expected \"policy-secret\" or \"password\"");
}

Napi::Value ToArray(Napi::Env env, const Bytes& bytes) {
  auto array = Napi::Uint8Array::New(env, bytes.size());
  std::copy(bytes.begin(), bytes.end(), array.Data());
  return array;
}

Napi::Value ToKey(Napi::Env env, const LoadedKey& key) {
  const auto object = Napi::Object::New(env);
  object.Set("id", Napi::Number::New(env, key.id));
  object.Set("handle", Napi::Number::New(env, key.handle));
  object.Set("publicArea", ToArray(env, key.publicArea));
  object.Set("name", ToArray(env, key.name));
  return object;
}

Napi::Value ToQuote(Napi::Env env, const assayer::Quote& quote) {
  const auto object = Napi::Object::New(env);
  object.Set("attest", ToArray(env, quote.attest));
  object.Set("signature", ToArray(env, quote.signature));
  return object;
}

Napi::Value ToWrappedKey(Napi::Env env, const WrappedKey& key) {
  const auto object = Napi::Object::New(env);
  object.Set("publicArea", ToArray(env, key.publicArea));
  object.Set("privateArea", ToArray(env, key.privateArea));
  return object;
}

/// The result of a command that gives nothing.
struct Done {};
Napi::Value ToUndefined(Napi::Env env, const Done&) { return env.Undefined(); }

}  // namespace

Napi::Function TpmContext::Define(Napi::Env env) {
  return DefineClass(env, "TpmContext",
                     {
                         InstanceMethod<&TpmContext::Open>("open"),
                         InstanceMethod<&TpmContext::Close>("close"),
                         InstanceMethod<&TpmContext::Abandon>("abandon"),
                         InstanceMethod<&TpmContext::ReadProperties>("readProperties"),
                         InstanceMethod<&TpmContext::ReadAlgorithms>("readAlgorithms"),
                         InstanceMethod<&TpmContext::ReadCurves>("readCurves"),
                         InstanceMethod<&TpmContext::ReadClock>("readClock"),
                         InstanceMethod<&TpmContext::ReadHandles>("readHandles"),
                         InstanceMethod<&TpmContext::ReadPcrBanks>("readPcrBanks"),
                         InstanceMethod<&TpmContext::ReadNv>("readNv"),
                         InstanceMethod<&TpmContext::ReadPcrs>("readPcrs"),
                         InstanceMethod<&TpmContext::SetEndorsementAuth>("setEndorsementAuth"),
                         InstanceMethod<&TpmContext::CreateEk>("createEk"),
                         InstanceMethod<&TpmContext::OpenObject>("openObject"),
                         InstanceMethod<&TpmContext::CreateAk>("createAk"),
                         InstanceMethod<&TpmContext::ActivateCredential>("activateCredential"),
                         InstanceMethod<&TpmContext::Quote>("quote"),
                         InstanceMethod<&TpmContext::SetOwnerAuth>("setOwnerAuth"),
                         InstanceMethod<&TpmContext::CreateStorageKey>("createStorageKey"),
                         InstanceMethod<&TpmContext::CreateKey>("createKey"),
                         InstanceMethod<&TpmContext::LoadKey>("loadKey"),
                         InstanceMethod<&TpmContext::SetKeyAuth>("setKeyAuth"),
                         InstanceMethod<&TpmContext::SaveContext>("saveContext"),
                         InstanceMethod<&TpmContext::LoadContext>("loadContext"),
                         InstanceMethod<&TpmContext::SignDigest>("signDigest"),
                         InstanceMethod<&TpmContext::ApplyRsaKey>("applyRsaKey"),
                         InstanceMethod<&TpmContext::CertifyKey>("certifyKey"),
                         InstanceMethod<&TpmContext::Flush>("flush"),
                         InstanceMethod<&TpmContext::FlushForeign>("flushForeign"),
                     });
}

TpmContext::TpmContext(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TpmContext>(info),
      env_(info.Env()),
      tcti_(info[0].ToString().Utf8Value()),
      promises_(Promises::Create(info.Env())),
      thread_([promises = promises_, closing = closing_] {
        if (*closing != 0) {
          promises->Deliver(*closing, [] { return [](Napi::Env env) -> Napi::Value { return env.Undefined(); }; });
        }
        promises->Release();
      }) {
  napi_add_env_cleanup_hook(env_, &TpmContext::BeforeExit, this);
}

TpmContext::~TpmContext() { napi_remove_env_cleanup_hook(env_, &TpmContext::BeforeExit, this); }

void TpmContext::BeforeExit(void* context) { static_cast<TpmContext*>(context)->thread_.StopAndWait(); }

Napi::Value TpmContext::Post(Napi::Env env, std::function<Promises::Value(std::unique_ptr<Tpm>&)> work) {
  if (ended_) throw Napi::Error::New(env, "the TPM is closed");
  const auto [id, promise] = promises_->Add(env);
  thread_.Post([promises = promises_, id = id, work = std::move(work)](std::unique_ptr<Tpm>* tpm) {
    promises->Deliver(id, [&] {
      if (tpm == nullptr) throw std::runtime_error("the TPM is closed");
      return work(*tpm);
    });
  });
  return promise;
}

template <class Run, class Convert>
Napi::Value TpmContext::Enqueue(Napi::Env env, Run run, Convert convert) {
  return Post(env, [run = std::move(run), convert](std::unique_ptr<Tpm>& tpm) -> Promises::Value {
    if (!tpm) throw std::runtime_error("the TPM is not open");
    auto result = std::make_shared<decltype(run(*tpm))>(run(*tpm));
    return [result, convert](Napi::Env env) { return convert(env, *result); };
  });
}

Napi::Value TpmContext::Open(const Napi::CallbackInfo& info) {
  return Post(info.Env(), [tcti = tcti_](std::unique_ptr<Tpm>& tpm) -> Promises::Value {
    tpm = std::make_unique<Tpm>(tcti);
    return [](Napi::Env env) -> Napi::Value { return env.Undefined(); };
  });
}

Napi::Value TpmContext::Close(const Napi::CallbackInfo& info) {
  if (ended_) throw Napi::Error::New(info.Env(), "the TPM is closed");
  ended_ = true;
  const auto [id, promise] = promises_->Add(info.Env());
  *closing_ = id;
  thread_.Stop();
  return promise;
}

void TpmContext::Abandon(const Napi::CallbackInfo& info) {
  ended_ = true;
  thread_.Abandon();
  promises_->RejectAll(info.Env(), "the TPM was given up");
}

Napi::Value TpmContext::ReadProperties(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [first = NumberOf(info[0]), count = NumberOf(info[1])](Tpm& tpm) {
        return assayer::ReadProperties(tpm, first, count);
      },
      [](Napi::Env env, const std::vector<std::pair<uint32_t, uint32_t>>& properties) -> Napi::Value {
        const auto array = Napi::Array::New(env);
        for (const auto& [property, value] : properties) {
          const auto pair = Napi::Array::New(env, 2);
          pair.Set(0U, Napi::Number::New(env, property));
          pair.Set(1U, Napi::Number::New(env, value));
          array.Set(array.Length(), pair);
        }
        return array;
      });
}

Napi::Value TpmContext::ReadAlgorithms(const Napi::CallbackInfo& info) {
  return Enqueue(info.Env(), [](Tpm& tpm) { return assayer::ReadAlgorithms(tpm); }, ToArray);
}

Napi::Value TpmContext::ReadCurves(const Napi::CallbackInfo& info) {
  return Enqueue(info.Env(), [](Tpm& tpm) { return assayer::ReadCurves(tpm); }, ToArray);
}

Napi::Value TpmContext::ReadClock(const Napi::CallbackInfo& info) {
  return Enqueue(info.Env(), [](Tpm& tpm) { return assayer::ReadClock(tpm); }, ToArray);
}

Napi::Value TpmContext::ReadHandles(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [first = NumberOf(info[0])](Tpm& tpm) { return assayer::ReadHandles(tpm, first); },
      [](Napi::Env env, const std::vector<TPM2_HANDLE>& handles) -> Napi::Value {
        const auto array = Napi::Array::New(env);
        for (const TPM2_HANDLE handle : handles) array.Set(array.Length(), Napi::Number::New(env, handle));
        return array;
      });
}

Napi::Value TpmContext::ReadPcrBanks(const Napi::CallbackInfo& info) {
  return Enqueue(info.Env(), [](Tpm& tpm) { return assayer::ReadPcrBanks(tpm); }, ToArray);
}

Napi::Value TpmContext::ReadNv(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [index = NumberOf(info[0])](Tpm& tpm) { return assayer::ReadNv(tpm, index); },
      [](Napi::Env env, const std::optional<Bytes>& content) -> Napi::Value {
        return content ? ToArray(env, *content) : env.Undefined();
      });
}

Napi::Value TpmContext::ReadPcrs(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [selection = BytesOf(info[0])](Tpm& tpm) { return assayer::ReadPcrs(tpm, selection); },
      [](Napi::Env env, const std::vector<PcrValue>& values) -> Napi::Value {
        const auto array = Napi::Array::New(env);
        for (const PcrValue& value : values) {
          const auto object = Napi::Object::New(env);
          object.Set("hash", Napi::Number::New(env, value.hash));
          object.Set("index", Napi::Number::New(env, value.index));
          object.Set("digest", ToArray(env, value.digest));
          array.Set(array.Length(), object);
        }
        return array;
      });
}

Napi::Value TpmContext::SetEndorsementAuth(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [auth = std::make_shared<SecretBytes>(BytesOf(info[0]))](Tpm& tpm) {
        assayer::SetEndorsementAuth(tpm, *auth);
        return Done{};
      },
      ToUndefined);
}

Napi::Value TpmContext::CreateEk(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [area = BytesOf(info[0])](Tpm& tpm) { return assayer::CreateEk(tpm, area); }, ToKey);
}

Napi::Value TpmContext::OpenObject(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [handle = NumberOf(info[0])](Tpm& tpm) { return assayer::OpenObject(tpm, handle); }, ToKey);
}

Napi::Value TpmContext::CreateAk(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [ek = NumberOf(info[0]), auth = EkAuthOf(info[1]), area = BytesOf(info[2])](Tpm& tpm) {
        return assayer::CreateAk(tpm, ek, auth, area);
      },
      ToKey);
}

Napi::Value TpmContext::ActivateCredential(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [ak = NumberOf(info[0]), ek = NumberOf(info[1]), auth = EkAuthOf(info[2]), blob = BytesOf(info[3]),
       secret = BytesOf(info[4])](Tpm& tpm) { return assayer::ActivateCredential(tpm, ak, ek, auth, blob, secret); },
      [](Napi::Env env, const SecretBytes& secret) { return ToArray(env, secret.get()); });
}

Napi::Value TpmContext::Quote(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [ak = NumberOf(info[0]), extraData = BytesOf(info[1]), selection = BytesOf(info[2])](Tpm& tpm) {
        return assayer::QuotePcrs(tpm, ak, extraData, selection);
      },
      ToQuote);
}

Napi::Value TpmContext::SetOwnerAuth(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [auth = std::make_shared<SecretBytes>(BytesOf(info[0]))](Tpm& tpm) {
        assayer::SetOwnerAuth(tpm, *auth);
        return Done{};
      },
      ToUndefined);
}

Napi::Value TpmContext::CreateStorageKey(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [area = BytesOf(info[0])](Tpm& tpm) { return assayer::CreateStorageKey(tpm, area); }, ToKey);
}

Napi::Value TpmContext::CreateKey(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [parent = NumberOf(info[0]), area = BytesOf(info[1]),
       auth = std::make_shared<SecretBytes>(BytesOf(info[2]))](Tpm& tpm) {
        return assayer::CreateKey(tpm, parent, area, *auth);
      },
      ToWrappedKey);
}

Napi::Value TpmContext::LoadKey(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [parent = NumberOf(info[0]), publicArea = BytesOf(info[1]), privateArea = BytesOf(info[2])](Tpm& tpm) {
        return assayer::LoadKey(tpm, parent, publicArea, privateArea);
      },
      ToKey);
}

Napi::Value TpmContext::SetKeyAuth(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [key = NumberOf(info[0]), auth = std::make_shared<SecretBytes>(BytesOf(info[1]))](Tpm& tpm) {
        assayer::SetKeyAuth(tpm, key, *auth);
        return Done{};
      },
      ToUndefined);
}

Napi::Value TpmContext::SaveContext(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [key = NumberOf(info[0])](Tpm& tpm) { return assayer::SaveContext(tpm, key); }, ToArray);
}

Napi::Value TpmContext::LoadContext(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(), [context = BytesOf(info[0])](Tpm& tpm) { return assayer::LoadContext(tpm, context); }, ToKey);
}

Napi::Value TpmContext::SignDigest(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [key = NumberOf(info[0]), digest = BytesOf(info[1]), scheme = BytesOf(info[2])](Tpm& tpm) {
        return assayer::SignDigest(tpm, key, digest, scheme);
      },
      ToArray);
}

Napi::Value TpmContext::ApplyRsaKey(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [key = NumberOf(info[0]), number = BytesOf(info[1])](Tpm& tpm) { return assayer::ApplyRsaKey(tpm, key, number); },
      [](Napi::Env env, const SecretBytes& result) { return ToArray(env, result.get()); });
}

Napi::Value TpmContext::CertifyKey(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [key = NumberOf(info[0]), ak = NumberOf(info[1]), extraData = BytesOf(info[2])](Tpm& tpm) {
        return assayer::CertifyKey(tpm, key, ak, extraData);
      },
      ToQuote);
}

Napi::Value TpmContext::Flush(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [id = NumberOf(info[0])](Tpm& tpm) {
        tpm.Release(id);
        return Done{};
      },
      ToUndefined);
}

Napi::Value TpmContext::FlushForeign(const Napi::CallbackInfo& info) {
  return Enqueue(
      info.Env(),
      [handle = NumberOf(info[0])](Tpm& tpm) {
        assayer::FlushForeign(tpm, handle);
        return Done{};
      },
      ToUndefined);
}

}  // namespace assayer
