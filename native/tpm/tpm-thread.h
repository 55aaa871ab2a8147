#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "tpm.h"

namespace assayer {

/// The one thread that talks to one TPM. It is not of libuv's pool and nobody joins it without a limit: a TPM that
/// serves somebody else (swtpm takes one client at a time) blocks connect or read for as long as that client stays.
/// A process that talks to a TPM had better start no other: tpm2-tss leaves its sockets open to a child, and swtpm busy
/// with them (TCTI swtpm 3.2.1 has one a command).
class TpmThread {
 public:
  /// Runs on the thread, in the order of posting: with the TPM, or with null where the thread was stopped before.
  /// The pointer is empty until a job has connected.
  using Job = std::function<void(std::unique_ptr<Tpm>*)>;

  /// `done` is the thread's last call, after everything was flushed and closed.
  explicit TpmThread(std::function<void()> done);
  ~TpmThread();
  TpmThread(const TpmThread&) = delete;
  TpmThread& operator=(const TpmThread&) = delete;

  void Post(Job job);

  /// Jobs that have not begun get null, those posted later too; then the TPM is flushed and closed. Does not wait.
  void Stop();

  /// Stops, and nobody waits any more: the thread may be blocked for ever.
  void Abandon();

  /// Stops, and waits for some seconds until the TPM is closed.
  void StopAndWait();

  /// Does so to every thread that was not abandoned, as the process exits.
  static void StopAllAndWait();

 private:
  struct State;
  static void Loop(const std::shared_ptr<State>& state);
  static void Wait(State& state);
  static std::set<std::shared_ptr<State>>& Running();
  std::shared_ptr<State> state_;
};

}  // namespace assayer
