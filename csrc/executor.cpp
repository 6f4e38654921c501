#include "executor.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "convolution_step.h"
#include "edge_basis_lanes.h"
#include "steps_of_edges.h"
#include "steps_of_nodes.h"

namespace multiace {
namespace {

constexpr int kXyz = 3;

/// Wait a moment for another thread.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// ---- opening ----------------------------------------------------------------------------------------------------------

template <class T>
Executor<T>::Executor(std::unique_ptr<Program> program)
    : ExecutorBase(std::move(program)), state_(*this->program), pairs_(*this->program), layers_(this->program->n_layers + 1) {
  const Program& p = *this->program;
  for (const Program::Operation& o : p.operations) {
    if (o.code == Code::kEdgeBasis) state_.l_max = static_cast<int>(p.tables[o.table].words[0]);
    std::unique_ptr<Step<T>> step = make_step(o);
    if (step == nullptr) continue;
    step->place = n_steps_++;
    (is_of_nodes(o) ? layers_[o.layer].of_nodes : layers_[o.layer].of_receivers).push_back(std::move(step));
  }
  for (int64_t t = 0; t <= p.n_layers; ++t) plan_layer(t);
}

template <class T>
bool Executor<T>::is_of_nodes(const Program::Operation& o) const {
  const int64_t array = o.outputs[0];
  const bool of_layer = o.layer > 0 && array == array_of(o.layer);
  return program->arrays[array].rows == Rows::kNodes && !of_layer;
}

template <class T>
std::unique_ptr<Step<T>> Executor<T>::make_step(const Program::Operation& o) const {
  const Program& p = *program;
  switch (o.code) {
    case Code::kEdgeBasis:
    case Code::kAgnesi:
    case Code::kNormalisedAgnesi:
    case Code::kRadialBasis:
    case Code::kRadialNetwork:
    case Code::kSpline: return nullptr;  // evaluated with the edges, or by the steps that read them
    case Code::kEmbedding: return std::make_unique<EmbeddingStep<T>>(p, o);
    case Code::kConvolution: return std::make_unique<ConvolutionStep<T>>(p, o, is_last(o.layer));
    case Code::kNeighbourDensity: return std::make_unique<NeighbourDensityStep<T>>(p, o);
    case Code::kPoolingDensity: return std::make_unique<PoolingDensityStep<T>>(p, o);
    case Code::kQuotient: return std::make_unique<QuotientStep<T>>(p, o);
    case Code::kLinear: return std::make_unique<LinearStep<T>>(p, o);
    case Code::kPolynomialProduct: return std::make_unique<ProductStep<T>>(p, o);
    case Code::kGate: return std::make_unique<GateStep<T>>(p, o);
    case Code::kNorm: return std::make_unique<NormStep<T>>(p, o);
    case Code::kSelect: return std::make_unique<SelectStep<T>>(p, o);
    case Code::kRepulsion: return std::make_unique<RepulsionStep<T>>(p, o);
  }
  throw ProgramError("an operation that this version does not know");
}

/// Decide who writes an array or its gradient first, and where arrays live.
template <class T>
void Executor<T>::plan_layer(int64_t t) {
  Layer& layer = layers_[t];
  const Program& p = *program;
  std::vector<bool> written(p.arrays.size()), pulled(p.arrays.size()), listed(p.arrays.size());
  const auto of_nodes = [&](int64_t array) { return array >= 0 && p.arrays[array].rows <= Rows::kOwned; };
  for (Steps* steps : {&layer.of_nodes, &layer.of_receivers})
    for (auto& step : *steps)
      for (Operand& y : step->outputs) y.add = written[y.array], written[y.array] = true;
  for (size_t n = 0; n < p.reads.size(); ++n)
    if (written[p.reads[n]]) layer.read.push_back({p.reads[n], n}), pulled[p.reads[n]] = true;
  // whole gradients, which other layers or blocks add to as well
  for (size_t array = 0; array < p.arrays.size(); ++array)
    if (p.arrays[array].rows == Rows::kNodes) pulled[array] = t == 0 || !is_last(t) || static_cast<int64_t>(array) != array_of(t);
  for (Steps* steps : {&layer.of_receivers, &layer.of_nodes})
    for (auto step = steps->rbegin(); step != steps->rend(); ++step) {
      for (const Operand& y : (*step)->outputs)
        if (!pulled[y.array]) layer.cleared.push_back(y.array), pulled[y.array] = true;
      for (Operand& x : (*step)->inputs) {
        if (!of_nodes(x.array) || !p.arrays[x.array].differentiable) continue;
        x.differentiable = true, x.add = pulled[x.array], pulled[x.array] = true;
      }
    }
  for (auto step = layer.of_receivers.rbegin(); step != layer.of_receivers.rend(); ++step) {
    for (const std::vector<Operand>* operands : {&(*step)->inputs, &(*step)->outputs})
      for (const Operand& x : *operands) {
        if (!of_nodes(x.array) || listed[x.array]) continue;
        listed[x.array] = true;
        const Program::Array& array = p.arrays[x.array];
        const bool kept = array.lifetime == Lifetime::kKept && !is_last(t);
        if (array.rows == Rows::kOwned && array.lifetime != Lifetime::kWhole && !kept) layer.temporary.push_back(x.array);
        if (array.rows == Rows::kOwned || (is_last(t) && x.array == array_of(t))) layer.gradients.push_back(x.array);
      }
    layer.commits |= (*step)->commits();
    if ((*step)->commits()) continue;  // a convolution adds its own
    for (Operand& x : (*step)->inputs)
      if (x.differentiable && p.arrays[x.array].rows == Rows::kNodes && x.array != array_of(t)) {
        x.add = std::find(layer.shared.begin(), layer.shared.end(), x.array) != layer.shared.end();
        if (!x.add) layer.shared.push_back(x.array);
      }
  }
  layer.commits |= !layer.shared.empty();
}

// ---- binding ----------------------------------------------------------------------------------------------------------

/// As many receivers as fit the cache with their arrays, 32 to 64, so that most pairs have both directions in one block;
/// 64 where one layer is all there is. Small systems have several blocks for the threads.
template <class T>
int64_t Executor<T>::nodes_of_block(int64_t n_owned) const {
  constexpr int64_t kFewest = 32, kMost = 64, kBytes = 3 << 17, kBlocks = 8;
  if (program->n_layers == 1) return kMost;
  int64_t widest = 1;
  for (const Layer& layer : layers_) {
    int64_t width = 0;
    for (const int64_t array : layer.temporary) width += program->arrays[array].width;
    for (const int64_t array : layer.gradients) width += program->arrays[array].width;
    widest = std::max(widest, width);
  }
  const int64_t fit = kBytes / (widest * static_cast<int64_t>(sizeof(T)));
  return std::clamp(std::min(fit, (n_owned + kBlocks - 1) / kBlocks), kFewest, kMost);
}

template <class T>
void Executor<T>::bind(const Sizes& sizes, const int64_t* species, const int64_t* senders, const int64_t* receivers,
                       const int64_t* reverse) {
  stage_ = Stage::kOpen;
  const auto check = [](bool good, const char* what, int64_t number, int64_t value) {
    if (!good) throw std::out_of_range(std::string(what) + " " + std::to_string(number) + " is " + std::to_string(value) + ", which does not exist");
  };
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  if (sizes.n_owned < 0 || sizes.n_owned > sizes.n_nodes || sizes.n_nodes > kMost || sizes.n_edges < 0 || sizes.n_edges > kMost / 2)
    throw std::out_of_range("n_nodes, n_owned and n_edges are " + std::to_string(sizes.n_nodes) + ", " + std::to_string(sizes.n_owned) + " and " +
                            std::to_string(sizes.n_edges) + "; they must be 0 or more, below 2^30, and no more nodes owned than there are");
  for (int64_t n = 0; n < sizes.n_nodes; ++n)
    check(0 <= species[n] && species[n] < program->n_elements, "the element of node", n, species[n]);
  for (int64_t e = 0; e < sizes.n_edges; ++e) {
    check(0 <= senders[e] && senders[e] < sizes.n_nodes, "the sender of edge", e, senders[e]);
    check(0 <= receivers[e] && receivers[e] < sizes.n_owned, "the receiver of edge", e, receivers[e]);
    if (reverse == nullptr) continue;
    check(0 <= reverse[e] && reverse[e] < sizes.n_edges, "the reverse of edge", e, reverse[e]);
    const int64_t back = reverse[e];
    if (back == e || reverse[back] != e || senders[back] != receivers[e] || receivers[back] != senders[e])
      throw std::out_of_range("the reverse of edge " + std::to_string(e) + " is " + std::to_string(back) + ", which does not go back");
  }
  Topology& top = state_.topology;
  top.take(sizes, species, program->n_elements, senders, receivers, reverse, nodes_of_block(sizes.n_owned),
           program->n_layers == 1, kWidth<T>);
  state_.vectors.resize(kXyz * top.n_lanes);
  state_.distances.resize(top.n_lanes);
  state_.harmonics.resize(state_.n_harmonics() * top.n_lanes);
  for (size_t array = 0; array < program->arrays.size(); ++array) {
    const Program::Array& a = program->arrays[array];
    if (a.rows == Rows::kNodes) state_.value[array].resize(top.n_nodes * a.width);
  }
  for (int64_t t = 1; t <= program->n_layers; ++t)
    for (auto& step : layers_[t].of_receivers)
      for (const Operand& y : step->outputs) {
        const Program::Array& a = program->arrays[y.array];
        const bool stays = a.lifetime == Lifetime::kWhole || (a.lifetime == Lifetime::kKept && !is_last(t));
        if (a.rows == Rows::kOwned && stays) state_.value[y.array].resize(top.n_owned * a.width);
      }
  pairs_.bind(state_);
  for (Layer& layer : layers_)
    for (Steps* steps : {&layer.of_nodes, &layer.of_receivers})
      for (auto& step : *steps) step->bind(state_);
  run_nodes(layers_[0].of_nodes, false);
  stage_ = Stage::kBound;
}

// ---- visits -----------------------------------------------------------------------------------------------------------

template <class T>
void Executor<T>::run(const Blocks& blocks, const int64_t* species, const std::function<void(Visit<T>&)>& body,
                      const std::function<void(Visit<T>&)>* commit) {
  const int64_t n_blocks = static_cast<int64_t>(blocks.size()), n_arrays = static_cast<int64_t>(program->arrays.size());
  const int n = static_cast<int>(std::max<int64_t>(1, std::min(n_threads, n_blocks)));
  std::atomic<int64_t> next{0}, committed{0};
  std::atomic<bool> failed{false};
  const auto work = [&](typename Governor::Stage* watch) {
    for (int64_t b; (b = next.fetch_add(1, std::memory_order_relaxed)) < n_blocks && !failed;) {
      Scratch scratch;
      Visit<T> v{state_, blocks[b], b, species + blocks[b].begin, scratch, scratch.array<T*>(n_arrays), scratch.array<T*>(n_arrays), scratch.zeros<void*>(n_steps_)};
      try {
        body(v);
        if (commit) {
          while (committed.load(std::memory_order_acquire) != b && !failed) relax();
          if (failed) return;
          (*commit)(v);
        }
      } catch (...) {
        failed = true;
        throw;
      }
      committed.store(b + 1, std::memory_order_release);
      if (watch) watch->block();
    }
  };
  if (n == 1) return work(nullptr);
  Governor::Stage watch(governor_);
  run_on_threads(n, [&](int part) { work(part == 0 ? &watch : nullptr); });
}

/// Point to the rows of a block, and give temporary arrays and gradients their memory.
template <class T>
void Executor<T>::point(Visit<T>& v, const Layer& layer, int64_t t, bool reverse) const {
  const int64_t n = v.n();
  for (size_t array = 0; array < program->arrays.size(); ++array) {
    if (program->arrays[array].rows > Rows::kOwned) continue;
    const int64_t first = v.block.begin * state_.width(array);
    v.value[array] = state_.value[array].data() ? state_.value[array].data() + first : nullptr;
    v.gradient[array] = state_.gradient[array].data() ? state_.gradient[array].data() + first : nullptr;
  }
  for (const int64_t array : layer.temporary) v.value[array] = v.scratch.template array<T>(n * state_.width(array));
  v.reverses = reverse && is_last(t) && t > 0;
}

/// Memory for gradients, and those that energies give.
template <class T>
void Executor<T>::start_reverse(Visit<T>& v, const Layer& layer) const {
  const int64_t n = v.n(), lanes = v.n_lanes();
  for (const int64_t array : layer.gradients) v.gradient[array] = v.scratch.template array<T>(n * state_.width(array));
  for (const int64_t array : layer.shared) v.gradient[array] = v.scratch.template array<T>(n * state_.width(array));
  for (const int64_t array : layer.cleared) std::fill_n(v.gradient[array], n * state_.width(array), T(0));
  for (const auto& [array, number] : layer.read)
    for (int64_t k = 0; k < n; ++k)
      v.gradient[array][k] = static_cast<T>(program->factors[number * program->n_elements + v.species[k]]);
  v.gy = v.scratch.template zeros<T>(state_.n_harmonics() * lanes);
  v.gd = v.scratch.template zeros<T>(lanes);
}

template <class T>
void Executor<T>::commit(Visit<T>& v, const Layer& layer) const {
  for (const auto& step : layer.of_receivers)
    if (step->commits()) step->commit(v);
  for (const int64_t array : layer.shared) {
    const int64_t row = state_.width(array);
    T* to = state_.gradient[array].data() + v.block.begin * row;
    for (int64_t k = 0; k < v.n() * row; ++k) to[k] += v.gradient[array][k];
  }
}

template <class T>
void Executor<T>::run_nodes(const Steps& steps, bool reverse) {
  if (steps.empty()) return;
  const Layer none;
  run(state_.topology.blocks_of_nodes, state_.topology.species.data(), [&](Visit<T>& v) {
    point(v, none, 0, false);
    if (reverse)
      for (auto step = steps.rbegin(); step != steps.rend(); ++step) (*step)->reverse(v);
    else
      for (const auto& step : steps) step->forward(v);
  }, nullptr);
}

// ---- edges ------------------------------------------------------------------------------------------------------------

template <class T>
void Executor<T>::evaluate_edges(const BlockOfReceivers& block) {
  const Topology& top = state_.topology;
  const int64_t n_lm = state_.n_harmonics();
  Edges<T> edges;
  for (int64_t p = block.begin; p < block.end; ++p) {
    const int64_t first = top.first_lane[p], lanes = top.first_lane[p + 1] - first, n = top.first_place[p + 1] - top.first_place[p];
    T *r = state_.vectors.data() + kXyz * first, *d = state_.distances.data() + first;
    T* y = state_.harmonics.data() + n_lm * first;
    const int32_t* edge = top.edge.data() + top.first_place[p];
    for (int64_t k = 0; k < lanes; ++k)
      for (int a = 0; a < kXyz; ++a)  // lanes without an edge are as good as any
        r[a * lanes + k] = k < n ? static_cast<T>(edge_vectors_[kXyz * edge[k] + a]) : T(1);
    for (int64_t k = 0; k < lanes; k += kWidth<T>) {
      const Vector<T> at[kXyz] = {load(r + k), load(r + lanes + k), load(r + 2 * lanes + k)};
      edges.evaluate(state_.l_max, at);
      store(d + k, edges.distance);
      for (int64_t lm = 0; lm < n_lm; ++lm) store(y + lm * lanes + k, edges.y[lm]);
    }
  }
}

/// From dE/dY and dE/dd to dE/dr of the block's lanes.
template <class T>
void Executor<T>::pull_edges(Visit<T>& v, bool add) const {
  const Topology& top = state_.topology;
  const int64_t n_lm = state_.n_harmonics();
  const Harmonics& table = harmonics();
  for (int64_t p = v.block.begin; p < v.block.end; ++p) {
    const int64_t first = top.first_lane[p], lanes = top.first_lane[p + 1] - first;
    const T *r = state_.vectors.data() + kXyz * first, *d = state_.distances.data() + first;
    const T *y = state_.harmonics.data() + n_lm * first, *gy = v.gy + n_lm * (first - v.first_lane());
    const T* gd = v.gd + first - v.first_lane();
    T* to = state_.vectors_gradient.data() + kXyz * first;
    for (int64_t k = 0; k < lanes; k += kWidth<T>) {
      Vector<T> gn[kXyz] = {zero<T>(), zero<T>(), zero<T>()};
      for (int64_t q = 0; q < table.n_terms[state_.l_max]; ++q) {
        const Term& term = table.terms[q];
        gn[term.axis] += static_cast<T>(term.value) * load(gy + term.harmonic * lanes + k) * load(y + term.lower * lanes + k);
      }
      const Vector<T> inverse = T(1) / load(d + k);
      Vector<T> n[kXyz], radial = zero<T>();
      for (int a = 0; a < kXyz; ++a) n[a] = load(r + a * lanes + k) * inverse, radial += n[a] * gn[a];
      for (int a = 0; a < kXyz; ++a) {
        T* at = to + a * lanes + k;
        const Vector<T> g = load(gd + k) * n[a] + inverse * (gn[a] - n[a] * radial);
        store(at, add ? load(at) + g : g);
      }
    }
  }
}

template <class T>
void Executor<T>::expect(bool condition, const char* what) const {
  if (!condition) throw OrderError(what);
}

template <class T>
void Executor<T>::begin(const double* edge_vectors, bool gradients) {
  expect(stage_ != Stage::kOpen, "multiace_begin needs nodes and edges: call multiace_bind before");
  const Topology& top = state_.topology;
  state_.gradients = gradients;
  edge_vectors_ = edge_vectors;
  run(top.blocks, top.species_of_positions(), [&](Visit<T>& v) { evaluate_edges(v.block); }, nullptr);
  edge_vectors_ = nullptr;
  if (!pairs_.empty()) {
    const int64_t n = (top.n_pairs + pairs_.kPairsAtOnce - 1) / pairs_.kPairsAtOnce;
    parallel_for(static_cast<int>(n_threads), n, 2, [&](int64_t first, int64_t last) {
      for (int64_t k = first; k < last; ++k)
        pairs_.evaluate(state_, k * pairs_.kPairsAtOnce, std::min(pairs_.kPairsAtOnce, top.n_pairs - k * pairs_.kPairsAtOnce));
    });
  }
  if (gradients) {
    state_.vectors_gradient.resize(kXyz * top.n_lanes);
    for (size_t array = 0; array < program->arrays.size(); ++array) {
      const Program::Array& a = program->arrays[array];
      if (a.rows != Rows::kNodes || !a.differentiable || static_cast<int64_t>(array) == array_of(program->n_layers)) continue;
      std::fill_n(state_.gradient[array].resize(top.n_nodes * a.width), top.n_nodes * a.width, T(0));
    }
  }
  forward_done_ = 0, reverse_done_ = program->n_layers + 1;
  stage_ = Stage::kBegun;
}

// ---- layers -----------------------------------------------------------------------------------------------------------

template <class T>
void Executor<T>::forward_layer(int64_t t) {
  expect(stage_ == Stage::kBegun && t == forward_done_ + 1 && t <= program->n_layers, "layers go forward from 1 to the last, after multiace_begin");
  const Layer& layer = layers_[t];
  run_nodes(layer.of_nodes, false);
  const bool both = is_last(t) && state_.gradients;
  const std::function<void(Visit<T>&)> commit_block = [&](Visit<T>& v) { commit(v, layer); };
  run(state_.topology.blocks, state_.topology.species_of_positions(), [&](Visit<T>& v) {
    point(v, layer, t, both);
    for (const auto& step : layer.of_receivers) step->forward(v);
    if (!both) return;
    start_reverse(v, layer);
    for (auto step = layer.of_receivers.rbegin(); step != layer.of_receivers.rend(); ++step) (*step)->reverse(v);
    pull_edges(v, false);
  }, both && layer.commits ? &commit_block : nullptr);
  forward_done_ = t;
}

template <class T>
void Executor<T>::reverse_layer(int64_t t) {
  expect(stage_ == Stage::kBegun && state_.gradients && forward_done_ == program->n_layers && t == reverse_done_ - 1 && t >= 1,
         "layers are reversed from the last to 1, after all went forward with gradients");
  const Layer& layer = layers_[t];
  if (!is_last(t)) {  // which was reversed on its way forward
    const std::function<void(Visit<T>&)> commit_block = [&](Visit<T>& v) { commit(v, layer); };
    run(state_.topology.blocks, state_.topology.species_of_positions(), [&](Visit<T>& v) {
      point(v, layer, t, true);
      start_reverse(v, layer);
      for (auto step = layer.of_receivers.rbegin(); step != layer.of_receivers.rend(); ++step) (*step)->reverse(v);
      pull_edges(v, true);
    }, layer.commits ? &commit_block : nullptr);
  }
  run_nodes(layer.of_nodes, true);
  reverse_done_ = t;
}

template <class T>
void* Executor<T>::features(int64_t layer) {
  expect(layer >= 1 && layer <= program->n_layers && stage_ != Stage::kOpen, "features are those of a layer, after multiace_bind");
  const int64_t array = array_of(layer), row = state_.width(array);
  T* values = state_.value[array].data();
  if (!state_.topology.is_permuted) return values;
  features_in_order_.resize(static_cast<size_t>(state_.topology.n_owned * row));
  for (int64_t p = 0; p < state_.topology.n_owned; ++p)
    std::copy_n(values + p * row, row, features_in_order_.data() + state_.topology.node[p] * row);
  return features_in_order_.data();
}

template <class T>
void* Executor<T>::feature_gradients(int64_t layer) {
  expect(stage_ == Stage::kBegun && state_.gradients && layer >= 1 && layer < program->n_layers,
         "gradients by features are those of a layer before the last, after multiace_begin with gradients");
  return state_.gradient[array_of(layer)].data();
}

// ---- results ----------------------------------------------------------------------------------------------------------

template <class T>
void Executor<T>::energies(double* energies, double* terms) {
  expect(stage_ == Stage::kBegun && forward_done_ == program->n_layers, "energies need all layers: call multiace_forward_layer before");
  const Topology& top = state_.topology;
  const int64_t n_terms = program->n_terms, n_read = static_cast<int64_t>(program->reads.size());
  std::vector<double> own(n_terms);
  for (int64_t p = 0; p < top.n_owned; ++p) {
    const int64_t node = top.node[p], z = top.species[node];
    double* of_node = terms ? terms + node * n_terms : own.data();
    std::copy_n(program->terms + z * n_terms, n_terms, of_node);
    for (int64_t n = 0; n < n_read; ++n)
      of_node[n_terms - n_read + n] +=
          program->factors[n * program->n_elements + z] * static_cast<double>(state_.value[program->reads[n]].data()[p]);
    if (energies == nullptr) continue;
    energies[node] = 0;
    for (int64_t k = 0; k < n_terms; ++k) energies[node] += of_node[k];
  }
}

template <class T>
void Executor<T>::gradient(double* by_edge) {
  expect(stage_ == Stage::kBegun && reverse_done_ == 1, "the gradient needs all layers reversed: call multiace_reverse_layer before");
  const Topology& top = state_.topology;
  for (int64_t p = 0; p < top.n_owned; ++p) {
    const int64_t first = top.first_lane[p], lanes = top.first_lane[p + 1] - first;
    const T* g = state_.vectors_gradient.data() + kXyz * first;
    for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place, ++g)
      for (int a = 0; a < kXyz; ++a) by_edge[kXyz * top.edge[place] + a] = static_cast<double>(g[a * lanes]);
  }
}

template <class T>
void Executor<T>::evaluate(const double* edge_vectors, const Sums& sums) {
  const Topology& top = state_.topology;
  const bool gradients = sums.forces || sums.virial;
  const int64_t n_layers = program->n_layers, n_terms = program->n_terms, wanted = n_threads;
  expect(stage_ != Stage::kOpen && top.n_owned == top.n_nodes, "multiace_evaluate needs nodes that are all owned: call multiace_bind before");
  for (int64_t n = 0; sums.structure_of_node && n < top.n_nodes; ++n)
    if (sums.structure_of_node[n] < 0 || sums.structure_of_node[n] >= sums.n_structures)
      throw std::out_of_range("the structure of node " + std::to_string(n) + " does not exist");
  n_threads = governor_.start(wanted);
  try {
    begin(edge_vectors, gradients);
    for (int64_t t = 1; t <= n_layers; ++t) forward_layer(t);
    for (int64_t t = n_layers; gradients && t >= 1; --t) reverse_layer(t);
  } catch (...) {
    n_threads = wanted;
    throw;
  }
  n_threads = wanted;
  governor_.finish();
  const auto structure = [&](int64_t node) { return sums.structure_of_node ? sums.structure_of_node[node] : 0; };
  std::vector<double> own_energies(sums.energies ? 0 : top.n_nodes), terms(top.n_nodes * n_terms);
  double* of_nodes = sums.energies ? sums.energies : own_energies.data();
  energies(of_nodes, terms.data());
  if (sums.energy) std::fill_n(sums.energy, sums.n_structures, 0.0);
  if (sums.contributions) std::fill_n(sums.contributions, sums.n_structures * n_terms, 0.0);
  for (int64_t n = 0; n < top.n_nodes; ++n) {
    if (sums.energy) sums.energy[structure(n)] += of_nodes[n];
    for (int64_t k = 0; sums.contributions && k < n_terms; ++k)
      sums.contributions[structure(n) * n_terms + k] += terms[n * n_terms + k];
  }
  if (sums.forces) std::fill_n(sums.forces, kXyz * top.n_nodes, 0.0);
  if (sums.virial) std::fill_n(sums.virial, kXyz * kXyz * sums.n_structures, 0.0);
  for (int64_t p = 0; gradients && p < top.n_owned; ++p) {
    const int64_t first = top.first_lane[p], lanes = top.first_lane[p + 1] - first, node = top.node[p];
    const T *g = state_.vectors_gradient.data() + kXyz * first, *r = state_.vectors.data() + kXyz * first;
    double *virial = sums.virial ? sums.virial + kXyz * kXyz * structure(node) : nullptr, own[kXyz] = {0, 0, 0};
    for (int64_t place = top.first_place[p]; place < top.first_place[p + 1]; ++place, ++g, ++r) {
      double by[kXyz], at[kXyz];
      for (int a = 0; a < kXyz; ++a) by[a] = static_cast<double>(g[a * lanes]), at[a] = static_cast<double>(r[a * lanes]);
      for (int a = 0; sums.forces && a < kXyz; ++a) own[a] += by[a], sums.forces[kXyz * top.sender[place] + a] -= by[a];
      for (int a = 0; virial && a < kXyz; ++a)
        for (int b = 0; b < kXyz; ++b) virial[kXyz * a + b] -= 0.5 * (at[a] * by[b] + at[b] * by[a]);
    }
    for (int a = 0; sums.forces && a < kXyz; ++a) sums.forces[kXyz * node + a] += own[a];
  }
}

template <class T>
int64_t Executor<T>::bytes() const {
  int64_t total = state_.topology.bytes();
  for (const Buffer<T>* buffer : {&state_.vectors, &state_.distances, &state_.harmonics, &state_.vectors_gradient})
    total += buffer->bytes();
  for (const auto* buffers : {&state_.value, &state_.gradient, &state_.slope})
    for (const Buffer<T>& buffer : *buffers) total += buffer.bytes();
  for (const Layer& layer : layers_)
    for (const Steps* steps : {&layer.of_nodes, &layer.of_receivers})
      for (const auto& step : *steps) total += step->bytes();
  return total;
}

template class Executor<float>;
template class Executor<double>;

}  // namespace multiace
