#pragma once

#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace assayer {

/// Promises that another thread settles. Everything here but Deliver() belongs to JavaScript's thread.
class Promises : public std::enable_shared_from_this<Promises> {
 public:
  /// Makes the value of a fulfilled Promise on JavaScript's thread; holds no JavaScript value itself.
  using Value = std::function<Napi::Value(Napi::Env)>;

  static std::shared_ptr<Promises> Create(Napi::Env env);

  /// A new Promise, and the number by which Deliver() settles it. Keeps the process alive until then.
  std::pair<uint32_t, Napi::Promise> Add(Napi::Env env);

  /// From any thread, until Release(): runs `work`, whose result or exception settles the Promise.
  void Deliver(uint32_t id, const std::function<Value()>& work);

  /// Rejects what is still open; what is delivered later is dropped, and does not keep the process alive.
  void RejectAll(Napi::Env env, const std::string& message);

  /// The other thread's last call.
  void Release();

 private:
  Promises() = default;
  struct Failure;
  std::function<void(Napi::Env, Napi::Promise::Deferred&)> static Outcome(const std::function<Value()>& work);

  Napi::ThreadSafeFunction function_;
  std::map<uint32_t, Napi::Promise::Deferred> open_;
  uint32_t nextId_ = 1;
};

}  // namespace assayer
