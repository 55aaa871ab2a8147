#include "promises.h"

#include <optional>

#include "tpm.h"

namespace assayer {

struct Promises::Failure {
  std::string message;
  std::optional<uint32_t> rc;
  std::string command;

  Napi::Value ToError(Napi::Env env) const {
    Napi::Object error = Napi::Error::New(env, message).Value();
    if (rc) {
      error.Set("rc", Napi::Number::New(env, *rc));
      error.Set("command", Napi::String::New(env, command));
    }
    return error;
  }
};

std::shared_ptr<Promises> Promises::Create(Napi::Env env) {
  std::shared_ptr<Promises> created(new Promises());
  created->function_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "tpm", 0, 1);
  created->function_.Unref(env);
  return created;
}

std::pair<uint32_t, Napi::Promise> Promises::Add(Napi::Env env) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  if (open_.empty()) function_.Ref(env);
  const uint32_t id = nextId_++;
  open_.emplace(id, deferred);
  return {id, deferred.Promise()};
}

std::function<void(Napi::Env, Napi::Promise::Deferred&)> Promises::Outcome(const std::function<Value()>& work) {
  Failure failure;
  try {
    return [value = work()](Napi::Env env, Napi::Promise::Deferred& promise) { promise.Resolve(value(env)); };
  } catch (const TpmError& error) {
    failure = {error.what(), error.rc(), error.command()};
  } catch (const std::exception& error) {
    failure = {error.what(), std::nullopt, ""};
  }
  return [failure](Napi::Env env, Napi::Promise::Deferred& promise) { promise.Reject(failure.ToError(env)); };
}

void Promises::Deliver(uint32_t id, const std::function<Value()>& work) {
  function_.BlockingCall([self = shared_from_this(), id, settle = Outcome(work)](Napi::Env env, Napi::Function) {
    const auto found = self->open_.find(id);
    if (found == self->open_.end()) return;
    Napi::Promise::Deferred promise = found->second;
    self->open_.erase(found);
    if (self->open_.empty()) self->function_.Unref(env);
    settle(env, promise);
  });
}

void Promises::RejectAll(Napi::Env env, const std::string& message) {
  if (open_.empty()) return;
  const auto rejected = std::move(open_);
  open_.clear();
  function_.Unref(env);
  for (const auto& [id, promise] : rejected) promise.Reject(Failure{message, std::nullopt, ""}.ToError(env));
}

void Promises::Release() { function_.Release(); }

}  // namespace assayer
