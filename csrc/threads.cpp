#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace multiace {
namespace {

// How often a waiting thread looks before it sleeps: a few microseconds, the gap between kernels.
constexpr int kSpins = 2000;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  void run(int n_threads, const std::function<void(int)>& body) {
    std::unique_lock<std::mutex> lock(owner_, std::try_to_lock);
    if (inside_ || !lock.owns_lock()) {
      for (int thread = 0; thread < n_threads; ++thread) body(thread);
      return;
    }
    grow(n_threads - 1);
    inside_ = true;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      body_ = &body;
      n_threads_ = n_threads;
      pending_.store(n_threads - 1, std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    body(0);
    for (int spin = 0; pending_.load(std::memory_order_acquire) > 0; ++spin) {
      if (spin < kSpins) {
        relax();
        continue;
      }
      std::unique_lock<std::mutex> guard(mutex_);
      done_.wait(guard, [&] { return pending_.load(std::memory_order_acquire) == 0; });
    }
    inside_ = false;
  }

 private:
  void grow(int n_workers) {
    while (static_cast<int>(workers_.size()) < n_workers) {
      const int thread = static_cast<int>(workers_.size()) + 1;
      const uint64_t seen = generation_.load();
      workers_.emplace_back([this, thread, seen] { work(thread, seen); });
      workers_.back().detach();
    }
  }

  void work(int thread, uint64_t seen) {
    inside_ = true;
    while (true) {
      for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spin)
        relax();
      const std::function<void(int)>* body;
      int n_threads;
      {
        std::unique_lock<std::mutex> guard(mutex_);
        wake_.wait(guard, [&] { return generation_.load() != seen; });
        seen = generation_.load();
        body = body_;
        n_threads = n_threads_;
      }
      if (thread >= n_threads) continue;
      (*body)(thread);
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> guard(mutex_);
        done_.notify_one();
      }
    }
  }

  std::mutex owner_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  const std::function<void(int)>* body_ = nullptr;
  int n_threads_ = 0;
  std::atomic<int> pending_{0};
  std::atomic<uint64_t> generation_{0};
  static thread_local bool inside_;
};

thread_local bool Pool::inside_ = false;

// Never destroyed: its threads may outlive main. A forked child has no workers and starts anew.
Pool* pool = nullptr;
std::once_flag once;

void start() {
  pool = new Pool;
#if !defined(_WIN32)
  pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
#endif
}

struct Memory {
  struct Block {
    char* start = nullptr;
    int64_t size = 0;
  };
  std::vector<Block> blocks;
  int64_t block = 0, used = 0;
  ~Memory() {
    for (Block& b : blocks) std::free(b.start);
  }
};
thread_local Memory memory;

}  // namespace

void run_on_threads(int n_threads, const std::function<void(int)>& body) {
  if (n_threads <= 1) {
    body(0);
    return;
  }
  std::call_once(once, start);
  pool->run(n_threads, body);
}

Scratch::Scratch() : block_(memory.block), used_(memory.used) {}

Scratch::~Scratch() {
  memory.block = block_;
  memory.used = used_;
}

void* Scratch::bytes(int64_t n) {
  n = (n + 63) / 64 * 64;
  while (memory.block < static_cast<int64_t>(memory.blocks.size()) &&
         memory.used + n > memory.blocks[memory.block].size) {
    ++memory.block;
    memory.used = 0;
  }
  if (memory.block == static_cast<int64_t>(memory.blocks.size())) {
    const int64_t size = n > (int64_t{1} << 20) ? n : (int64_t{1} << 20);
    Memory::Block fresh;
    fresh.start = static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>(size)));
    if (fresh.start == nullptr) throw std::bad_alloc();
    fresh.size = size;
    memory.blocks.push_back(fresh);
  }
  char* p = memory.blocks[memory.block].start + memory.used;
  memory.used += n;
  return p;
}

}  // namespace multiace
