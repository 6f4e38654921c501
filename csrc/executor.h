// Runs a program: layers forward and in reverse, block after block of receivers.
//
// Blocks are claimed by threads one after the other. What blocks share, gradients of h, is added in the order of the
// blocks, so that results are the same bits for any number of threads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "governor.h"
#include "pair_functions.h"
#include "step.h"

namespace multiace {

/// A call that needs another one before.
struct OrderError : std::logic_error {
  using std::logic_error::logic_error;
};

/// Results of `ExecutorBase::evaluate`; those that are null are not computed.
struct Sums {
  int64_t n_structures;
  const int64_t* structure_of_node;  // null: one structure
  double *energies, *energy, *contributions, *forces, *virial;
};

class ExecutorBase {
 public:
  explicit ExecutorBase(std::unique_ptr<Program> program) : program(std::move(program)) {}
  virtual ~ExecutorBase() = default;

  const std::unique_ptr<Program> program;
  int64_t n_threads = 1;

  virtual void bind(const Sizes&, const int64_t* species, const int64_t* senders, const int64_t* receivers,
                    const int64_t* reverse) = 0;
  virtual void begin(const double* edge_vectors, bool gradients) = 0;
  virtual void forward_layer(int64_t layer) = 0;
  virtual void reverse_layer(int64_t layer) = 0;
  virtual void* features(int64_t layer) = 0;
  virtual void* feature_gradients(int64_t layer) = 0;
  virtual void energies(double* energies, double* terms) = 0;
  virtual void gradient(double* by_edge) = 0;
  virtual void evaluate(const double* edge_vectors, const Sums&) = 0;
  virtual int64_t bytes() const = 0;
};

template <class T>
class Executor : public ExecutorBase {
 public:
  explicit Executor(std::unique_ptr<Program> program);
  void bind(const Sizes&, const int64_t* species, const int64_t* senders, const int64_t* receivers,
            const int64_t* reverse) override;
  void begin(const double* edge_vectors, bool gradients) override;
  void forward_layer(int64_t layer) override;
  void reverse_layer(int64_t layer) override;
  void* features(int64_t layer) override;
  void* feature_gradients(int64_t layer) override;
  void energies(double* energies, double* terms) override;
  void gradient(double* by_edge) override;
  void evaluate(const double* edge_vectors, const Sums&) override;
  int64_t bytes() const override;

 private:
  using Steps = std::vector<std::unique_ptr<Step<T>>>;
  using Blocks = std::vector<BlockOfReceivers>;

  /// Steps of one layer and what they need of a block's memory.
  struct Layer {
    Steps of_nodes;      // before the edges, of every node
    Steps of_receivers;
    std::vector<int64_t> temporary;       // arrays that exist during a visit only
    std::vector<int64_t> gradients;       // arrays whose gradients exist during a visit only
    std::vector<int64_t> cleared;         // of these, those that nobody writes first
    std::vector<int64_t> shared;          // h^(t-1), which the receivers' own rows of gradients are added to
    std::vector<std::pair<int64_t, int64_t>> read;  // arrays that energies read, with their numbers
    bool commits = false;
  };

  std::unique_ptr<Step<T>> make_step(const Program::Operation&) const;
  void plan_layer(int64_t t);
  bool is_of_nodes(const Program::Operation&) const;
  int64_t nodes_of_block(int64_t n_owned) const;
  bool is_last(int64_t layer) const { return layer == program->n_layers; }
  int64_t array_of(int64_t layer) const { return program->features[layer - 1]; }

  void run(const Blocks& blocks, const int64_t* species, const std::function<void(Visit<T>&)>& body,
           const std::function<void(Visit<T>&)>* commit);
  void point(Visit<T>& v, const Layer& layer, int64_t t, bool reverse) const;
  void start_reverse(Visit<T>& v, const Layer& layer) const;
  void evaluate_edges(const BlockOfReceivers& block);
  void pull_edges(Visit<T>& v, bool add) const;
  void commit(Visit<T>& v, const Layer& layer) const;
  void run_nodes(const Steps& steps, bool reverse);
  void expect(bool condition, const char* what) const;

  State<T> state_;
  PairFunctions<T> pairs_;
  std::vector<Layer> layers_;  // the first: embeddings of every node
  size_t n_steps_ = 0;
  const double* edge_vectors_ = nullptr;
  Governor governor_;
  enum class Stage { kOpen, kBound, kBegun } stage_ = Stage::kOpen;
  int64_t forward_done_ = 0, reverse_done_ = 0;  // layers
  std::vector<T> features_in_order_;
};

}  // namespace multiace
