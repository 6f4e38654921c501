// Operations are checked in their order, with what is known of the arrays by then. The executor relies on these rules:
//
// - Layer 0 is about edges, and embeds all nodes. Operations of layer t read arrays of layer t, h^(t-1) and edges.
// - Those that write arrays of all nodes (but for h^(t)) come first in a layer, and read such arrays only; the others
//   write owned rows, and read those of their own atoms. Only convolutions read other rows.
// - An array has one writer; selections, linear maps and embeddings may add to it until it is read.
// - Tables cover every entry of the rows they write.
#include "program_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace multiace {
namespace {

constexpr int64_t kMost = int64_t{1} << 20;       // of sizes
constexpr int64_t kMostOfRow = int64_t{1} << 22;  // numbers of all arrays for one atom, edge or pair
constexpr int64_t kMostWords = int64_t{1} << 26;  // of tables, read again for each operation
constexpr int64_t kMostMixed = int64_t{1} << 30;  // products of couplings and weights
constexpr int64_t kMostDegree = 6, kMostCorrelation = 8, kMostComponents = int64_t{1} << 16, kMostNumber = 118, kMostPower = 64;
constexpr int64_t kAbsent = -1;

/// What an operation looks like. Inputs: v edge vectors, d distances, y harmonics, a transformed distances, b radial
/// basis, e its envelope, h radial functions, n rows of any node, x rows of the same atom. Outputs: E edges, P pairs,
/// p pairs or absent, O atoms.
struct Form {
  const char *name, *inputs, *outputs;
  size_t n_constants;
  bool has_table;
};
constexpr Form kForms[] = {
    {"edge_basis", "v", "EE", 0, true},       {"agnesi", "d", "P", 0, true},
    {"radial_basis", "da", "Pp", 1, true},    {"radial_network", "be", "P", 2, true},
    {"spline", "d", "E", 2, true},            {"embedding", "", "O", 1, false},
    {"convolution", "nyh", "O", 2, true},     {"neighbour_density", "yh", "O", 1, true},
    {"pooling_density", "be", "O", 1, false}, {"quotient", "xx", "O", 0, false},
    {"linear", "x", "O", 1, true},            {"polynomial_product", "x", "O", 1, true},
    {"gate", "x", "O", 0, true},              {"norm", "x", "O", 0, true},
    {"select", "x", "O", 0, true},            {"repulsion", "d", "O", 0, true},
    {"normalised_agnesi", "d", "P", 0, true}};

class Check {
  using Array = Program::Array;
  using Operation = Program::Operation;

 public:
  explicit Check(const Program& program) : p(program), arrays_(p.arrays.size()) {}

  void all() {
    check_numbers();
    arrays_[p.vectors].differentiable = true;
    for (const Operation& operation : p.operations) check_operation(operation), ++number_;
    where_ = "it";
    check_arrays();
  }

 private:
  /// What is known of an array by now.
  struct Known {
    const Operation* writer = nullptr;  // the first
    bool is_read = false, read_again = false, differentiable = false, whole = false;
  };

  template <class... Parts>
  void need(bool holds, const Parts&... parts) const {
    if (holds) return;
    throw ProgramError(joined("The program makes no sense: ", where_, " has ", parts..., ". Export it again."));
  }
  void within(const char* what, int64_t value, int64_t least, int64_t most) const {
    need(value >= least && value <= most, what, " ", value, ", which must be ", least, " to ", most);
  }
  const Array& array(int64_t n) const {
    within("array", n, 0, size_of(p.arrays) - 1);
    return p.arrays[n];
  }
  template <class T>
  static int64_t size_of(const std::vector<T>& items) { return static_cast<int64_t>(items.size()); }

  void check_numbers() const {
    int64_t before = 0, total = 0;
    for (const int64_t number : p.elements) within("atomic number", number, before + 1, kMostNumber), before = number;
    need(p.cutoff > 0 && p.spline_error >= 0 && p.spline_slope_error >= 0, "a negative cutoff or error");
    for (const Array& a : p.arrays) within("width", a.width, 1, kMost), total += a.width;
    within("numbers of all arrays", total, 1, kMostOfRow);
    within("energies that are read", size_of(p.reads), 1, p.n_terms);
    need(p.arrays[p.vectors].rows == Rows::kEdges && p.arrays[p.vectors].width == 3, "edge vectors of another shape");
  }

  void check_arrays() {
    need(distances_ != kAbsent, "no edge_basis");
    need(argument_ == kAbsent || basis_ != kAbsent, "a transformed distance that no radial_basis reads");
    need(p.exact != has_splines_, p.exact ? "splines, but is exact" : "no splines, but is not exact");
    for (int64_t t = 1; t <= p.n_layers; ++t) {
      const int64_t n = p.features[t - 1];
      need(array(n).rows == Rows::kNodes && layer_of(n) == t, "features of layer ", t, " that it does not write");
      arrays_[n].whole = true;
    }
    for (const int64_t n : p.reads) {
      need(array(n).rows == Rows::kOwned && array(n).width == 1 && !arrays_[n].whole, "energies in array ", n,
           " that are no (owned, 1), or are read twice");
      arrays_[n].whole = true;
    }
    for (int64_t n = 0; n < size_of(p.arrays); ++n) {
      const Known& known = arrays_[n];
      const Lifetime lifetime = p.arrays[n].lifetime;
      need(n == p.vectors || known.writer, "array ", n, ", which nothing writes");
      const bool whole = known.whole || n == p.vectors || (layer_of(n) == 0 && known.writer->code != Code::kSpline);
      const bool in_reverse = known.read_again && lifetime == Lifetime::kTemporary;
      need(lifetime == Lifetime::kWhole || !(whole || in_reverse), "array ", n, ", which is read after its lifetime");
      need(p.arrays[n].differentiable == known.differentiable, "array ", n, " with a false differentiable");
    }
  }

  // ---- operations ---------------------------------------------------------------------------------------------------

  int64_t layer_of(int64_t n) const { return arrays_[n].writer ? arrays_[n].writer->layer : kAbsent; }
  bool is_features(int64_t n, int64_t layer) const { return layer >= 1 && p.features[layer - 1] == n; }
  bool is_of_edges() const { return o_->code <= Code::kSpline || is(Code::kNormalisedAgnesi); }
  bool adds() const { return is(Code::kLinear) || is(Code::kSelect) || is(Code::kEmbedding); }
  bool is(Code code) const { return o_->code == code; }

  void check_operation(const Operation& operation) {
    o_ = &operation;
    where_ = joined("operation ", number_);
    within("code", static_cast<int64_t>(operation.code), 1, static_cast<int64_t>(Code::kNormalisedAgnesi));
    const Form& form = kForms[static_cast<int64_t>(operation.code) - 1];
    where_ = joined("operation ", number_, " (", form.name, ")");
    const bool in_layer_0 = is_of_edges() || (is(Code::kEmbedding) && operation.layer == 0);
    within("layer", operation.layer, std::max<int64_t>(layer_, !in_layer_0), in_layer_0 ? 0 : p.n_layers);
    if (operation.layer != layer_) layer_ = operation.layer, of_atoms_ = false;
    within("table", operation.table, form.has_table ? 0 : kAbsent, form.has_table ? size_of(p.tables) - 1 : kAbsent);
    const std::vector<int64_t>&inputs = operation.inputs, &outputs = operation.outputs, &constants = operation.constants;
    need(inputs.size() == std::strlen(form.inputs) && outputs.size() == std::strlen(form.outputs) &&
             constants.size() == form.n_constants,
         inputs.size(), " inputs, ", outputs.size(), " outputs and ", constants.size(), " constants");
    for (const int64_t constant : constants) within("constant", constant, kAbsent, size_of(p.constants) - 1);
    const int64_t first = outputs[0];
    const bool of_nodes = !is_of_edges() && array(first).rows == Rows::kNodes && !is_features(first, layer_);
    if (of_nodes)
      need(adds() && is(Code::kEmbedding) == (layer_ == 0) && !of_atoms_,
           "rows of nodes as output: only embedding may, and linear and select at the start of a layer");
    of_atoms_ |= !is_of_edges() && !of_nodes;
    differentiates_ = false;
    for (size_t k = 0; k < inputs.size(); ++k) check_input(form.inputs[k], inputs[k], of_nodes);
    check_table();
    for (size_t k = 0; k < outputs.size(); ++k) check_output(form.outputs[k], outputs[k], of_nodes);
    if (is(Code::kEdgeBasis)) distances_ = first, harmonics_ = outputs[1];
    if (is(Code::kAgnesi) || is(Code::kNormalisedAgnesi)) argument_ = first;
    if (is(Code::kRadialBasis)) basis_ = first, envelope_ = outputs[1];
    has_splines_ |= is(Code::kSpline);
  }

  void check_input(char kind, int64_t n, bool of_nodes) {
    const int64_t wanted = kind == 'v' ? p.vectors : kind == 'd' ? distances_ : kind == 'y' ? harmonics_
                         : kind == 'a' ? argument_ : kind == 'b' ? basis_ : kind == 'e' ? envelope_ : n;
    need(n == wanted, "array ", n, " as input instead of array ", wanted);
    if (n == kAbsent && (kind == 'a' || kind == 'e')) return;
    const Rows rows = array(n).rows;
    Known& known = arrays_[n];
    differentiates_ |= known.differentiable;
    if (kind == 'v') return;
    need(known.writer, "array ", n, " as input before it is written");
    known.is_read = true;
    if (kind == 'h') need(wrote(n, Code::kSpline) || wrote(n, Code::kRadialNetwork), "no radial functions");
    if (kind != 'n' && kind != 'x') return;
    const int64_t from = layer_of(n);
    const bool is_h = is_features(n, layer_), is_before = is_features(n, layer_ - 1) && from == layer_ - 1;
    const bool of_any = rows == Rows::kNodes && !is_h && (is_before || from == layer_ || from == 0);
    const bool of_own = rows == Rows::kOwned || is_h ? from == layer_ : is_before;
    need(kind == 'n' || of_nodes ? of_any : of_own, "array ", n, " of layer ", from, " as input; it cannot read that");
    known.read_again |= kind == 'n' || is(Code::kQuotient) || is(Code::kPolynomialProduct) || is(Code::kGate) ||
                        is(Code::kNorm);
  }
  bool wrote(int64_t n, Code code) const { return arrays_[n].writer->code == code; }

  void check_output(char kind, int64_t n, bool of_nodes) {
    if (n == kAbsent && kind == 'p') return;
    const Rows rows = array(n).rows;
    const bool of_atoms = of_nodes || (layer_ > 0 && (rows == Rows::kOwned || rows == Rows::kNodes));
    need(kind == 'E' ? rows == Rows::kEdges : kind == 'O' ? of_atoms : rows == Rows::kPairs, "array ", n,
         " of other rows as output");
    Known& known = arrays_[n];
    need(n != p.vectors && (!known.writer || (adds() && layer_of(n) == layer_ && !known.is_read)), "array ", n,
         " as output, which was written by another operation, or read");
    if (!known.writer) known.writer = o_;
    known.differentiable |= differentiates_;
  }

  // ---- tables and constants -----------------------------------------------------------------------------------------

  /// Reads the words of a table one after another.
  class Words {
   public:
    Words(Check& check, const Program::Table& table)
        : check_(check), first_(table.words), end_(first_ + table.n_words), at_(first_) {}
    int64_t integer(int64_t least, int64_t most) {
      const int64_t value = next();
      check_.need(value >= least && value <= most, value, " as word ", at_ - first_, " of its table; it must be ", least,
                  " to ", most);
      return value;
    }
    int64_t size() { return integer(1, kMost); }
    int64_t index(int64_t n) { return integer(0, n - 1); }
    int64_t dimension() {  // 2 l + 1
      const int64_t value = integer(1, 2 * kMostDegree + 1);
      check_.need(value % 2 == 1, "an irrep of dimension ", value);
      return value;
    }
    int64_t gated_dimension() {  // 2 l + 1, or 0 for scalars
      const int64_t value = integer(0, 2 * kMostDegree + 1);
      check_.need(value == 0 || (value % 2 == 1 && value > 1), "an irrep of dimension ", value, " with gate or norm");
      return value;
    }
    void numbers(int64_t n, bool positive = false) {
      for (double value; n > 0; --n) {
        const int64_t word = next();
        std::memcpy(&value, &word, sizeof value);
        check_.need(std::isfinite(value) && (value > 0 || !positive), value, " as word ", at_ - first_, " of its table");
      }
    }
    void activation() { integer(0, 2), numbers(1); }

   private:
    int64_t next() {
      check_.need(at_ < end_ && ++check_.words_read_ <= kMostWords, "a table that ends too early, or is too large");
      return *at_++;
    }
    Check& check_;
    const int64_t *first_, *end_, *at_;
  };

  /// Parts of a row.
  class Parts {
   public:
    Parts(const Check& check, int64_t length) : check_(check), length_(length) {}
    void add(int64_t start, int64_t n) {
      check_.need(start >= 0 && start <= length_ && n <= length_ - start, "a part that exceeds a row of ", length_);
      if (n > 0) parts_.push_back({start, n});
    }
    /// Each entry of the row is in one part; `gaps`: or in none.
    void check(bool gaps = false) {
      std::sort(parts_.begin(), parts_.end());
      parts_.push_back({length_, 0});
      int64_t end = 0;
      for (const auto& part : parts_) {
        check_.need(gaps ? part.first >= end : part.first == end, "parts of a row that end at ", end, " and begin at ",
                    part.first);
        end = part.first + part.second;
      }
    }

   private:
    const Check& check_;
    int64_t length_;
    std::vector<std::pair<int64_t, int64_t>> parts_;
  };

  int64_t width(int64_t n) const { return array(n).width; }
  void widths(const std::vector<int64_t>& inputs, const std::vector<int64_t>& outputs) const {
    const auto check = [&](const char* what, const std::vector<int64_t>& arrays, const std::vector<int64_t>& wanted) {
      for (size_t k = 0; k < wanted.size(); ++k)
        need(width(arrays[k]) == wanted[k], what, k, " of width ", width(arrays[k]), " instead of ", wanted[k]);
    };
    check("input ", o_->inputs, inputs), check("output ", o_->outputs, outputs);
  }
  const Program::Constant& constant(size_t k, size_t n_axes, bool is_integer = false) const {
    need(o_->constants[k] != kAbsent, "no constant ", k);
    const Program::Constant& found = p.constants[o_->constants[k]];
    need(found.shape.size() == n_axes && found.is_integer == is_integer, "constant ", k, " of other axes or dtype");
    return found;
  }
  void shape(size_t k, const std::vector<int64_t>& wanted) const {
    const std::vector<int64_t>& found = constant(k, wanted.size()).shape;
    for (size_t axis = 0; axis < wanted.size(); ++axis)
      need(found[axis] == wanted[axis], "axis ", axis, " of constant ", k, " of length ", found[axis], " instead of ",
           wanted[axis]);
  }
  /// Types of pairs of elements; without them there is one type.
  void types(size_t k, int64_t n_types) const {
    if (o_->constants[k] == kAbsent) return need(n_types == 1, "no constant ", k, " for ", n_types, " types");
    const Program::Constant& found = constant(k, 2, true);
    need(found.shape[0] == p.n_elements && found.shape[1] == p.n_elements, "types of other elements");
    for (int64_t n = 0; n < found.size; ++n) within("type", found.integers()[n], -1, n_types - 1);
  }
  /// (types, rows, columns), with the types of constant k + 1.
  void weights_of_types(size_t k, int64_t rows, int64_t columns) const {
    const int64_t n_types = constant(k, 3).shape[0];
    within("number of types", n_types, 1, kMost);
    shape(k, {n_types, rows, columns}), types(k + 1, n_types);
  }

  void check_table() {
    Words w(*this, o_->table < 0 ? Program::Table{nullptr, 0} : p.tables[o_->table]);
    switch (o_->code) {
      case Code::kEdgeBasis: return edge_basis(w);
      case Code::kAgnesi: return transform(w, 3);
      case Code::kNormalisedAgnesi: return transform(w, 4);
      case Code::kRadialBasis: return radial_basis(w);
      case Code::kRadialNetwork: return radial_network(w);
      case Code::kSpline: return spline(w);
      case Code::kEmbedding: return shape(0, {p.n_elements, width(o_->outputs[0])});
      case Code::kConvolution: return convolution(w);
      case Code::kNeighbourDensity: return neighbour_density(w);
      case Code::kPoolingDensity: return widths({}, {1}), shape(0, {width(o_->inputs[0])});
      case Code::kQuotient: return widths({width(o_->inputs[0]), 1}, {width(o_->inputs[0])});
      case Code::kLinear: return linear(w);
      case Code::kPolynomialProduct: return polynomial_product(w);
      case Code::kGate: return gate(w);
      case Code::kNorm: return norm(w);
      case Code::kSelect: return select(w);
      case Code::kRepulsion: return repulsion(w);
    }
  }

  void edge_basis(Words& w) const {
    need(distances_ == kAbsent, "another edge_basis before it");
    const int64_t l_max = w.integer(0, kMostDegree);
    widths({}, {1, (l_max + 1) * (l_max + 1)});
  }
  void transform(Words& w, int64_t n_numbers) const {
    need(argument_ == kAbsent && basis_ == kAbsent, "a transformed distance or radial_basis before it");
    w.integer(p.n_elements, p.n_elements), w.numbers(n_numbers), w.numbers(p.n_elements, true);
    widths({}, {1});
  }
  void radial_basis(Words& w) const {
    need(basis_ == kAbsent, "another radial_basis before it");
    const int64_t family = w.integer(0, 3), number = w.size();
    w.numbers(1, true);
    const int64_t power = w.integer(-1, kMostPower);
    const bool on_basis = w.integer(0, 1) == 1, two_sided = power < 0;
    if (family == 3 || two_sided) {
      const int64_t most = two_sided ? kMostPower : 0;
      w.integer(two_sided ? 2 : 0, most), w.integer(0, most), w.integer(0, 1);
    }
    need(on_basis == (o_->outputs[1] == kAbsent), "an envelope on the basis and beside it, or nowhere");
    on_basis ? widths({}, {number}) : widths({}, {number, 1});
    shape(0, {number});
  }
  void radial_network(Words& w) const {
    w.activation();
    const int64_t n_layers = w.integer(0, kMostPower), first = w.size();
    int64_t before = first, n_weights = 0, n_biases = 0;
    for (int64_t layer = 0; layer < n_layers; ++layer) {
      const int64_t next = w.size();
      n_weights += before * next, n_biases += next, before = next;
    }
    widths({first}, {before});
    if (n_layers > 0) shape(0, {n_weights});
    need(n_layers > 0 || (o_->constants[0] == kAbsent && o_->constants[1] == kAbsent), "weights without layers");
    if (o_->constants[1] != kAbsent) shape(1, {n_biases});
  }
  void spline(Words& w) const {
    const int64_t n_intervals = w.size();
    w.numbers(1, true);
    const int64_t n_functions = w.size();
    widths({}, {n_functions});
    weights_of_types(0, 4 * n_intervals + 2, n_functions);
  }

  void convolution(Words& w) const {
    const int64_t n_paths = w.size(), dim_in = w.size(), dim_out = w.size(), n_harmonics = w.size();
    const int64_t n_weights = w.size(), largest = w.size(), n_couplings = w.integer(0, kMost), hidden = o_->inputs[2];
    Parts in(*this, dim_in), out(*this, dim_out);
    std::vector<std::pair<int64_t, int64_t>> paths;  // entries, end of couplings
    int64_t weight = 0, coupling = 0, most = 0;
    for (int64_t n = 0; n < n_paths; ++n) {
      const int64_t d_in = w.dimension(), d_out = w.dimension(), x = w.index(dim_in), channels = w.size();
      const int64_t y = w.index(dim_out), row = w.integer(channels, kMost);
      in.add(x, d_in * channels);
      for (int64_t b = 0; b < d_out; ++b) out.add(y + b * row, channels);
      w.integer(weight, weight), w.integer(coupling, coupling);
      coupling = w.integer(coupling, n_couplings);
      weight += channels, most = std::max(most, d_in * d_out);
      paths.push_back({d_in * d_out, coupling});
    }
    out.check();
    need(weight == n_weights && coupling == n_couplings && most == largest, "sums that are not those of its paths");
    for (int64_t path = 0, n = 0; path < n_paths; ++path)
      for (; n < paths[path].second; ++n) w.index(n_harmonics), w.index(paths[path].first), w.numbers(1);
    widths({dim_in, n_harmonics}, {dim_out});
    if (o_->constants[0] != kAbsent) {
      need(wrote(hidden, Code::kRadialNetwork), "weights, but splines");
      return weights_of_types(0, width(hidden), n_weights);
    }
    need(wrote(hidden, Code::kSpline) && width(hidden) == n_weights && o_->constants[1] == kAbsent,
         "no weights and types, but no splines of its radial functions");
  }

  void neighbour_density(Words& w) const {
    const int64_t l_max = w.integer(0, kMostDegree), n_hidden = w.size(), n_types = w.size();
    int64_t row = 0;
    for (int64_t l = 0; l <= l_max; ++l) {
      const int64_t first = w.index(n_hidden);
      row += (2 * l + 1) * n_types * w.integer(0, n_hidden - first);
    }
    widths({(l_max + 1) * (l_max + 1), n_hidden}, {row});
    if (o_->constants[0] == kAbsent) need(n_types == p.n_elements, n_types, " types of senders");
    else types(0, n_types);
  }

  void linear(Words& w) const {
    const int64_t n_blocks = w.size(), dim_in = w.size(), dim_out = w.size();
    Parts in(*this, dim_in), out(*this, dim_out);
    int64_t weight = 0;
    for (int64_t n = 0; n < n_blocks; ++n) {
      const int64_t dim = w.dimension(), x = w.integer(0, dim_in), c = w.integer(0, kMost);
      const int64_t y = w.integer(0, dim_out), d = w.integer(0, kMost);
      in.add(x, dim * c), out.add(y, dim * d);
      w.integer(weight, weight);
      weight += c * d;
    }
    in.check(), out.check();
    widths({dim_in}, {dim_out});
    const int64_t size = constant(0, 1).size;
    need(size == weight || size == weight * p.n_elements, size, " weights instead of ", weight, ", or of each element");
  }

  void polynomial_product(Words& w) const {
    const int64_t n_components = w.integer(1, kMostComponents), n_rows = w.integer(1, kMostComponents);
    const int64_t n_paths = w.size(), correlation = w.integer(1, kMostCorrelation), n_terms = w.size();
    const int64_t n_coefficients = w.integer(1, kMost << 4);
    for (int64_t n = 0; n < n_terms; ++n) {
      int64_t before = w.index(n_components);
      for (int64_t k = 1; k < correlation; ++k) {
        const int64_t next = w.integer(kAbsent, n_components - 1);
        need(next == kAbsent || next >= before, "a term whose components are not sorted, or go on after their end");
        before = next == kAbsent ? n_components : next;
      }
    }
    for (int64_t n = 0; n < n_coefficients; ++n) w.index(n_rows), w.index(n_terms), w.index(n_paths), w.numbers(1);
    const int64_t copies = constant(0, 3).shape[0], channels = constant(0, 3).shape[2];
    need(copies == 1 || copies == p.n_elements, "weights of ", copies, " elements");
    within("channels", channels, 1, kMost);
    shape(0, {copies, n_paths, channels});
    need(copies * channels <= kMostMixed / n_coefficients, "more couplings times weights than memory holds");
    widths({n_components * channels}, {n_rows * channels});
  }

  void gate(Words& w) const {
    const int64_t n_segments = w.size(), dim_in = w.size(), dim_out = w.size();
    Parts in(*this, dim_in), out(*this, dim_out);
    for (int64_t n = 0; n < n_segments; ++n) {
      const int64_t dim = w.gated_dimension(), channels = w.size(), length = std::max<int64_t>(1, dim) * channels;
      const int64_t x = w.index(dim_in), gates = w.index(dim_in), y = w.index(dim_out);
      in.add(x, length), in.add(gates, dim > 0 ? channels : 0), out.add(y, length);
      w.activation();
    }
    in.check(), out.check();
    widths({dim_in}, {dim_out});
  }
  void norm(Words& w) const {
    const int64_t n_segments = w.size(), dim_in = w.size();
    Parts row(*this, dim_in);
    for (int64_t n = 0; n < n_segments; ++n) {
      const int64_t dim = w.gated_dimension(), channels = w.size();
      row.add(w.index(dim_in), std::max<int64_t>(1, dim) * channels);
      w.activation();
    }
    row.check();
    widths({dim_in}, {dim_in});
  }
  void select(Words& w) const {
    const int64_t n_blocks = w.integer(0, kMost), dim_in = w.size(), dim_out = w.size();
    Parts in(*this, dim_in), out(*this, dim_out);
    for (int64_t n = 0; n < n_blocks; ++n) {
      const int64_t dim = w.dimension(), x = w.index(dim_in), c = w.size(), y = w.index(dim_out);
      const int64_t d = w.integer(c, kMost);
      in.add(x, dim * c), out.add(y, dim * d);
    }
    in.check(true), out.check(true);
    widths({dim_in}, {dim_out});
  }
  void repulsion(Words& w) const {
    need(layer_ == 1, "layer ", layer_, " instead of 1");
    w.integer(p.n_elements, p.n_elements), w.integer(1, kMostPower);
    const int64_t n_terms = w.integer(1, kMostPower);
    w.numbers(1, true), w.numbers(2 + 2 * n_terms), w.numbers(2 * p.n_elements, true);
    widths({}, {1});
  }

  const Program& p;
  const Operation* o_ = nullptr;
  std::string where_ = "it";
  int64_t number_ = 0, layer_ = 0, words_read_ = 0;
  bool of_atoms_ = false, differentiates_ = false, has_splines_ = false;
  int64_t distances_ = kAbsent, harmonics_ = kAbsent, argument_ = kAbsent, basis_ = kAbsent, envelope_ = kAbsent;
  std::vector<Known> arrays_;
};

}  // namespace

void check(const Program& program) { Check(program).all(); }

}  // namespace multiace
