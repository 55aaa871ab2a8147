#include "signing-thread.h"

namespace assayer {

namespace {

constexpr char kGone[] = "the thread that asks the key manager has ended";

struct Threads {
  std::mutex mutex;
  std::map<uint32_t, std::shared_ptr<SigningThread>> byId;
  uint32_t nextId = 1;
};

/// Never destroyed: threads may still sign while the process ends.
Threads& threads() {
  static Threads* all = new Threads();
  return *all;
}

void Forget(const SigningThread* thread) {
  Threads& all = threads();
  std::lock_guard lock(all.mutex);
  std::erase_if(all.byId, [thread](const auto& item) { return item.second.get() == thread; });
}

}  // namespace

uint32_t SigningThread::Attach(napi_env env, napi_value onRequest) {
  auto thread = std::make_shared<SigningThread>();
  thread->thread_ = std::this_thread::get_id();
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "assayer.sign", NAPI_AUTO_LENGTH, &name) != napi_ok) return 0;
  // The finalizer owns one reference to the thread, as its context.
  auto* owned = new std::shared_ptr<SigningThread>(thread);
  std::lock_guard lock(thread->mutex_);
  if (napi_create_threadsafe_function(env, onRequest, nullptr, name, 0, 1, owned, OnFinalize, thread.get(), OnRequest,
                                      &thread->function_) != napi_ok) {
    delete owned;
    return 0;
  }
  Threads& all = threads();
  std::lock_guard allLock(all.mutex);
  uint32_t id = all.nextId++;
  all.byId.emplace(id, thread);
  return id;
}

std::shared_ptr<SigningThread> SigningThread::Find(uint32_t id) {
  Threads& all = threads();
  std::lock_guard lock(all.mutex);
  auto found = all.byId.find(id);
  return found == all.byId.end() ? nullptr : found->second;
}

void SigningThread::Detach(uint32_t id) {
  std::shared_ptr<SigningThread> thread = Find(id);
  if (thread == nullptr) return;
  Forget(thread.get());
  napi_threadsafe_function function = nullptr;
  {
    std::lock_guard lock(thread->mutex_);
    std::swap(function, thread->function_);
  }
  thread->FailAll(kGone);
  if (function != nullptr) napi_release_threadsafe_function(function, napi_tsfn_abort);
}

SignatureOutcome SigningThread::Sign(SignatureRequest request, std::chrono::milliseconds deadline) {
  if (std::this_thread::get_id() == thread_) return {{}, "this thread asks the key manager and cannot wait for itself"};
  auto pending = std::make_shared<Pending>();
  pending->request = std::move(request);
  std::unique_lock lock(mutex_);
  if (function_ == nullptr) return {{}, kGone};
  uint32_t requestId = nextRequestId_++;
  pending_.emplace(requestId, pending);
  void* data = reinterpret_cast<void*>(static_cast<uintptr_t>(requestId));
  if (napi_call_threadsafe_function(function_, data, napi_tsfn_nonblocking) != napi_ok) {
    pending_.erase(requestId);
    return {{}, kGone};
  }
  bool done = answered_.wait_for(lock, deadline, [&] { return pending->done; });
  pending_.erase(requestId);
  if (done) return std::move(pending->outcome);
  return {{}, "the key manager did not answer within " + std::to_string(deadline.count()) + " ms"};
}

void SigningThread::Complete(uint32_t requestId, SignatureOutcome outcome) {
  {
    std::lock_guard lock(mutex_);
    auto found = pending_.find(requestId);
    if (found == pending_.end() || found->second->done) return;
    found->second->outcome = std::move(outcome);
    found->second->done = true;
  }
  answered_.notify_all();
}

void SigningThread::FailAll(const std::string& failure) {
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, pending] : pending_) {
      if (pending->done) continue;
      pending->outcome = {{}, failure};
      pending->done = true;
    }
  }
  answered_.notify_all();
}

void SigningThread::OnRequest(napi_env env, napi_value onRequest, void* context, void* data) {
  if (env == nullptr || onRequest == nullptr) return;  // the environment is going away: OnFinalize fails the request
  auto* self = static_cast<SigningThread*>(context);
  auto requestId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data));
  std::shared_ptr<Pending> pending;
  {
    std::lock_guard lock(self->mutex_);
    auto found = self->pending_.find(requestId);
    if (found == self->pending_.end()) return;
    pending = found->second;
  }
  const SignatureRequest& request = pending->request;
  napi_value undefined = nullptr;
  napi_value arguments[6] = {};
  void* digest = nullptr;
  napi_value result = nullptr;
  bool called = napi_get_undefined(env, &undefined) == napi_ok &&
                napi_create_uint32(env, requestId, &arguments[0]) == napi_ok &&
                napi_create_string_utf8(env, request.keyIdentifier.data(), request.keyIdentifier.size(), &arguments[1]) == napi_ok &&
                napi_create_buffer_copy(env, request.digest.size(), request.digest.data(), &digest, &arguments[2]) == napi_ok &&
                napi_create_string_utf8(env, request.hash.data(), request.hash.size(), &arguments[3]) == napi_ok &&
                napi_create_string_utf8(env, request.scheme.data(), request.scheme.size(), &arguments[4]) == napi_ok &&
                napi_create_int32(env, request.saltLength, &arguments[5]) == napi_ok &&
                napi_call_function(env, undefined, onRequest, 6, arguments, &result) == napi_ok;
  if (!called) self->Complete(requestId, {{}, "the request to sign could not be handed on"});
}

void SigningThread::OnFinalize(napi_env, void* data, void*) {
  auto* owned = static_cast<std::shared_ptr<SigningThread>*>(data);
  std::shared_ptr<SigningThread> thread = *owned;
  delete owned;
  {
    std::lock_guard lock(thread->mutex_);
    thread->function_ = nullptr;
  }
  thread->FailAll(kGone);
  Forget(thread.get());
}

}  // namespace assayer
