#include "threads.h"

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <new>
#include <vector>

#include "errors.h"

#if defined(__x86_64__) && defined(__GLIBC__)
// The version every glibc has, not the one of 2.34 that newer systems would choose.
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
#endif

namespace multiace {
namespace {

// How often a waiting thread looks before it sleeps: a tenth of a millisecond, the gap between kernels
// with operations of PyTorch in between. To be woken takes about as long; longer waits gained little,
// and cost more where processes share the processors.
constexpr int kSpins = 5000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

struct Failure : std::exception {
  const char* what() const noexcept override { return "a part of a kernel failed"; }
};

class Lock {
 public:
  explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Lock() { pthread_mutex_unlock(&mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

/// True while the thread runs a part: nested calls do not use the pool.
thread_local bool inside = false;

class Pool;

/// A thread of the pool. The first take part in jobs of few parts; the others then sleep on.
struct Worker {
  Pool* pool;
  int index;
  Worker* next = nullptr;
  bool asleep = false;  // guarded by the pool's mutex
  pthread_cond_t published = PTHREAD_COND_INITIALIZER;
};

class Pool {
 public:
  void run(int n_parts, const std::function<void(int)>& body) {
    if (inside || n_parts > kMostParts || busy_.exchange(true, std::memory_order_acquire)) {
      for (int part = 0; part < n_parts; ++part) body(part);
      return;
    }
    grow(n_parts - 1);
    publish(n_parts, body);
    take_parts();
    wait_for_others();
    const int error = error_.load(std::memory_order_relaxed);
    busy_.store(false, std::memory_order_release);
    if (error == kOutOfMemory) throw std::bad_alloc();
    if (error != kSuccess) throw Failure();
  }

 private:
  // A ticket is (number of the job, parts, next part). One word, so that who takes a part knows
  // whose part it is: job and body cannot change before that part has ended.
  static constexpr int kBits = 16;
  static constexpr int kMostParts = (1 << kBits) - 1;
  static uint64_t job(uint64_t ticket) { return ticket >> (2 * kBits); }
  static int parts(uint64_t ticket) { return static_cast<int>(ticket >> kBits) & kMostParts; }
  static int next(uint64_t ticket) { return static_cast<int>(ticket) & kMostParts; }

  void publish(int n_parts, const std::function<void(int)>& body) {
    {
      Lock lock(mutex_);
      body_ = &body;
      error_.store(kSuccess, std::memory_order_relaxed);
      unfinished_.store(n_parts, std::memory_order_relaxed);
      const uint64_t number = job(ticket_.load(std::memory_order_relaxed)) + 1;
      ticket_.store(number << (2 * kBits) | static_cast<uint64_t>(n_parts) << kBits, std::memory_order_release);
      for (Worker* worker = first_; worker && takes_part(*worker, n_parts); worker = worker->next)
        if (worker->asleep) pthread_cond_signal(&worker->published);
    }
  }

  /// The thread that calls takes part as well.
  static bool takes_part(const Worker& worker, int n_parts) { return worker.index < n_parts - 1; }

  void take_parts() {
    inside = true;
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (next(ticket) < parts(ticket)) {
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      const int error = error_code([&] { return (*body_)(next(ticket)), kSuccess; });
      if (error != kSuccess) error_.store(error, std::memory_order_relaxed);
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        Lock lock(mutex_);
        pthread_cond_signal(&finished_);
      }
      ticket = ticket_.load(std::memory_order_acquire);
    }
    inside = false;
  }

  void wait_for_others() {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (unfinished_.load(std::memory_order_acquire) == 0) return;
      relax();
    }
    Lock lock(mutex_);
    while (unfinished_.load(std::memory_order_acquire) > 0) pthread_cond_wait(&finished_, &mutex_);
  }

  /// Start workers up to n; where the system refuses, those that there are do all the work.
  void grow(int n) {
    if (n_workers_ >= n) return;
    pthread_attr_t detached;
    if (pthread_attr_init(&detached) != 0) return;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while (n_workers_ < n) {
      Worker* worker = new (std::nothrow) Worker{this, n_workers_};
      pthread_t thread;
      if (worker == nullptr || pthread_create(&thread, &detached, &Pool::work, worker) != 0) {
        delete worker;
        break;
      }
      (last_ ? last_->next : first_) = worker;
      last_ = worker;
      ++n_workers_;
    }
    pthread_attr_destroy(&detached);
  }

  static void* work(void* worker) {
    Worker* own = static_cast<Worker*>(worker);
    own->pool->work(*own);
    return nullptr;
  }

  [[noreturn]] void work(Worker& own) {
    uint64_t done = 0;
    const auto wanted = [&] {
      const uint64_t ticket = ticket_.load(std::memory_order_relaxed);
      return job(ticket) != done && takes_part(own, parts(ticket));
    };
    for (;;) {
      for (int spin = 0; spin < kSpins && !wanted(); ++spin) relax();
      {
        Lock lock(mutex_);
        own.asleep = true;
        while (!wanted()) pthread_cond_wait(&own.published, &mutex_);
        own.asleep = false;
        done = job(ticket_.load(std::memory_order_relaxed));
      }
      take_parts();
    }
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t finished_ = PTHREAD_COND_INITIALIZER;
  Worker *first_ = nullptr, *last_ = nullptr;
  const std::function<void(int)>* body_ = nullptr;
  int n_workers_ = 0;
  std::atomic<bool> busy_{false};
  std::atomic<int> error_{kSuccess};
  std::atomic<int> unfinished_{0};
  alignas(64) std::atomic<uint64_t> ticket_{0};
};

/// The process's pool. It is never destroyed, as its threads may outlive main; a forked child has
/// none of them and starts anew.
Pool& pool() {
  alignas(Pool) static unsigned char memory[sizeof(Pool)];
  static Pool* const it = [] {
    pthread_atfork(nullptr, nullptr, [] { new (memory) Pool; });
    return new (memory) Pool;
  }();
  return *it;
}

struct Memory {
  struct Block {
    char* start;
    int64_t size;
  };
  std::vector<Block> blocks;
  int64_t block = 0, used = 0;  // the block in use, and how much of it
  int64_t live = 0, most = 0;   // bytes handed out, now and at most

  void add(int64_t size) {
    blocks.reserve(blocks.size() + 1);
    char* start = static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>(size)));
    if (start == nullptr) throw std::bad_alloc();
    blocks.push_back({start, size});
  }
  void clear() {
    for (const Block& b : blocks) std::free(b.start);
    blocks.clear();
  }
  ~Memory() { clear(); }
};
thread_local Memory memory;

constexpr int64_t kSmallestBlock = int64_t{1} << 20;

}  // namespace

void run_on_threads(int n_parts, const std::function<void(int)>& body) {
  if (n_parts <= 1) {
    body(0);
    return;
  }
  pool().run(n_parts, body);
}

Scratch::Scratch() : block_(memory.block), used_(memory.used), live_(memory.live) {}

Scratch::~Scratch() {
  memory.block = block_;
  memory.used = used_;
  memory.live = live_;
  // Blocks that were added one by one become one, which the next call of this size fits in.
  if (live_ == 0 && memory.blocks.size() > 1) memory.clear();
}

void* Scratch::bytes(int64_t n) {
  n = (n + 63) / 64 * 64;
  const int64_t n_blocks = static_cast<int64_t>(memory.blocks.size());
  while (memory.block < n_blocks && memory.used + n > memory.blocks[memory.block].size) {
    ++memory.block;
    memory.used = 0;
  }
  if (memory.block == n_blocks) {
    const int64_t whole = memory.live == 0 && memory.most > n ? memory.most : n;
    memory.add(whole > kSmallestBlock ? whole : kSmallestBlock);
  }
  char* p = memory.blocks[memory.block].start + memory.used;
  memory.used += n;
  memory.live += n;
  if (memory.live > memory.most) memory.most = memory.live;
  return p;
}

}  // namespace multiace
