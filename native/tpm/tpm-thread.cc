#include "tpm-thread.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace assayer {

struct TpmThread::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;
  bool stopping = false;
  bool finished = false;
  std::function<void()> done;
};

TpmThread::TpmThread(std::function<void()> done) : state_(std::make_shared<State>()) {
  state_->done = std::move(done);
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

void TpmThread::StopAndWait(std::chrono::milliseconds limit) {
  Stop();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, limit, [this] { return state_->finished; });
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
  lock.lock();
  state->finished = true;
  state->changed.notify_all();
}

}  // namespace assayer
