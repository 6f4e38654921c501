// How many threads an evaluation uses. Results do not depend on it, so that it may follow the load of the machine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace multiace {

/// Goes back to one thread for a while when threads have to wait for each other longer than for the block at hand, as
/// where other processes keep their processors busy.
class Governor {
  using Clock = std::chrono::steady_clock;

 public:
  /// Threads of the next evaluation.
  int64_t start(int64_t n_threads) {
    started_ = Clock::now();
    waited_ = 0;
    in_use_ = n_threads > 1 && alone_ == 0 ? n_threads : 1;
    alone_ -= alone_ > 0;
    return in_use_;
  }
  void finish() {
    if (in_use_ == 1) return;
    if (waited_ > kTolerated * seconds(Clock::now() - started_)) {
      alone_ = backoff_;
      calm_ = 0;
      backoff_ = std::min(2 * backoff_, kLongest);
    } else if (++calm_ >= kCalm) {
      backoff_ = kShortest;
      calm_ = 0;
    }
  }

  /// Measures the blocks of the calling thread within one stage.
  class Stage {
   public:
    explicit Stage(Governor& governor) : governor_(governor), last_(Clock::now()) {}
    /// A block has ended.
    void block() {
      const Clock::time_point now = Clock::now();
      longest_ = std::max(longest_, seconds(now - last_));
      last_ = now;
    }
    /// All threads have ended.
    ~Stage() {
      governor_.waited_ += std::max(0.0, seconds(Clock::now() - last_) - kBlocks * longest_);
    }

   private:
    Governor& governor_;
    Clock::time_point last_;
    double longest_ = 0;
  };

 private:
  static constexpr double kTolerated = 0.1, kBlocks = 2;
  static constexpr int64_t kShortest = 32, kLongest = 2048, kCalm = 64;
  template <class Duration>
  static double seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
  }

  Clock::time_point started_;
  double waited_ = 0;
  int64_t in_use_ = 1, alone_ = 0, backoff_ = kShortest, calm_ = 0;
};

}  // namespace multiace
