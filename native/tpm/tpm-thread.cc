#include "tpm-thread.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

namespace assayer {

struct TpmThread::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;
  bool stopping = false;
  /// Closed, or not worth waiting for.
  bool finished = false;
  std::function<void()> done;
};

namespace {

constexpr std::chrono::seconds kPatience(5);

std::mutex running_mutex;

}  // namespace

/// Never destroyed: threads outlive the destructors of static objects.
std::set<std::shared_ptr<TpmThread::State>>& TpmThread::Running() {
  static auto* running = new std::set<std::shared_ptr<State>>();
  return *running;
}

TpmThread::TpmThread(std::function<void()> done) : state_(std::make_shared<State>()) {
  state_->done = std::move(done);
  {
    const std::lock_guard lock(running_mutex);
    Running().insert(state_);
  }
  std::thread([state = state_] { Loop(state); }).detach();
}

TpmThread::~TpmThread() { Stop(); }

void TpmThread::Post(Job job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->stopping) {
      state_->jobs.push_back(std::move(job));
      state_->changed.notify_all();
      return;
    }
  }
  job(nullptr);
}

void TpmThread::Stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

void TpmThread::Abandon() {
  Stop();
  const std::lock_guard lock(state_->mutex);
  state_->finished = true;
}

void TpmThread::StopAndWait() {
  Stop();
  Wait(*state_);
}

void TpmThread::StopAllAndWait() {
  std::set<std::shared_ptr<State>> states;
  {
    const std::lock_guard lock(running_mutex);
    states = Running();
  }
  for (const auto& state : states) {
    {
      const std::lock_guard lock(state->mutex);
      state->stopping = true;
    }
    state->changed.notify_all();
    Wait(*state);
  }
}

void TpmThread::Wait(State& state) {
  std::unique_lock lock(state.mutex);
  state.changed.wait_for(lock, kPatience, [&] { return state.finished; });
}

void TpmThread::Loop(const std::shared_ptr<State>& state) {
  std::unique_ptr<Tpm> tpm;
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stopping || !state->jobs.empty(); });
    if (state->jobs.empty()) break;
    const Job job = std::move(state->jobs.front());
    state->jobs.pop_front();
    const bool stopping = state->stopping;
    lock.unlock();
    job(stopping ? nullptr : &tpm);
    lock.lock();
  }
  lock.unlock();
  tpm.reset();
  state->done();
  {
    const std::lock_guard running_lock(running_mutex);
    Running().erase(state);
  }
  lock.lock();
  state->finished = true;
  state->changed.notify_all();
}

}  // namespace assayer
