// Operations are checked in their order, with what is known of the arrays by then. Rules that the executor relies on:
//
// - Layer 0 is about edges, and embeds all nodes. Operations of layer t read arrays of layer t, h^(t-1) and edges.
// - Those that write arrays of all nodes (but for h^(t)) come first in a layer, and read such arrays only; the others
//   write owned rows, and read those of their own atoms. Only convolutions read other rows.
// - An array has one writer; selections, linear maps and embeddings may add to it until it is read.
// - Tables cover every entry of the rows they write.
#include "program_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace multiace {
namespace {

constexpr int64_t kMost = int64_t{1} << 20;       // of sizes
constexpr int64_t kMostOfRow = int64_t{1} << 22;  // numbers of all arrays for one atom, edge or pair
constexpr int64_t kMostWords = int64_t{1} << 28;  // of tables, read again for each operation
constexpr int64_t kMostMixed = int64_t{1} << 30;  // products of couplings and weights
constexpr int64_t kMostDegree = 6, kMostCorrelation = 8, kMostNumber = 119;
constexpr int64_t kAbsent = -1;

/// What an operation looks like. Inputs: v edge vectors, d distances, y harmonics, a transformed distances, b radial
/// basis, e its envelope, h radial functions, n rows of any node, x rows of the same atom. Outputs: E edges, P pairs,
/// p pairs or absent, O atoms.
struct Form {
  const char *name, *inputs, *outputs;
  int64_t n_constants;
  bool has_table;
};
constexpr Form kForms[] = {
    {"edge_basis", "v", "EE", 0, true},
    {"agnesi", "d", "P", 0, true},
    {"radial_basis", "da", "Pp", 1, true},
    {"radial_network", "be", "P", 2, true},
    {"spline", "d", "E", 2, true},
    {"embedding", "", "O", 1, false},
    {"convolution", "nyh", "O", 2, true},
    {"neighbour_density", "yh", "O", 1, true},
    {"pooling_density", "be", "O", 1, false},
    {"quotient", "xx", "O", 0, false},
    {"linear", "x", "O", 1, true},
    {"polynomial_product", "x", "O", 1, true},
    {"gate", "x", "O", 0, true},
    {"norm", "x", "O", 0, true},
    {"select", "x", "O", 0, true},
    {"repulsion", "d", "O", 0, true},
};

class Check {
  using Array = Program::Array;
  using Operation = Program::Operation;

 public:
  explicit Check(const Program& program)
      : p(program),
        writer_(p.arrays.size(), kAbsent),
        is_read_(p.arrays.size()),
        differentiable_(p.arrays.size()),
        read_again_(p.arrays.size()) {}

  void all() {
    where_ = "the program";
    check_numbers();
    differentiable_[p.vectors] = true;
    for (number_ = 0; number_ < static_cast<int64_t>(p.operations.size()); ++number_)
      check_operation(p.operations[number_]);
    where_ = "the program";
    check_arrays();
  }

 private:
  // ---- refusing -------------------------------------------------------------------------------------------------------

  template <class... Parts>
  void need(bool holds, const Parts&... parts) const {
    if (holds) return;
    throw ProgramError(joined("The program makes no sense: ", where_, " has ", parts..., ". Export it again."));
  }
  int64_t within(const char* what, int64_t value, int64_t least, int64_t most) const {
    need(value >= least && value <= most, what, " ", value, ", which must be ", least, " to ", most);
    return value;
  }

  // ---- the whole ------------------------------------------------------------------------------------------------------

  void check_numbers() const {
    for (size_t k = 0; k < p.elements.size(); ++k)
      need(p.elements[k] >= (k ? p.elements[k - 1] + 1 : 1) && p.elements[k] < kMostNumber, "element ", p.elements[k],
           " at place ", k, "; they are atomic numbers, ascending");
    need(p.cutoff > 0, "a cutoff of ", p.cutoff, " A");
    need(p.spline_error >= 0 && p.spline_slope_error >= 0, "a negative error of splines");
    int64_t total = 0;
    for (const Array& array : p.arrays) total += within("an array of width", array.width, 1, kMost);
    need(total <= kMostOfRow, "arrays with ", total, " numbers a row together; ", kMostOfRow, " are possible");
    need(!p.reads.empty() && static_cast<int64_t>(p.reads.size()) <= p.n_terms, p.reads.size(), " energies read for ",
         p.n_terms, " terms");
    for (const int64_t array : p.features) at("features", array);
    for (const int64_t array : p.reads) at("energies", array);
    need(p.arrays[p.vectors].rows == Rows::kEdges && p.arrays[p.vectors].width == 3,
         "edge vectors that are no (edges, 3)");
  }
  const Array& at(const char* what, int64_t array) const {
    return p.arrays[within(what, array, 0, static_cast<int64_t>(p.arrays.size()) - 1)];
  }

  void check_arrays() {
    need(distances_ != kAbsent, "no edge_basis");
    need(argument_ == kAbsent || basis_ != kAbsent, "an agnesi without radial_basis");
    need(p.exact != has_splines_, "splines and is said to be exact, or neither");
    std::vector<bool> whole(p.arrays.size());
    whole[p.vectors] = true;
    for (int64_t t = 1; t <= p.n_layers; ++t) {
      const int64_t array = p.features[t - 1];
      need(p.arrays[array].rows == Rows::kNodes && layer_of(array) == t, "features of layer ", t,
           " that are not rows of nodes written there");
      whole[array] = true;
    }
    for (const int64_t array : p.reads) {
      need(p.arrays[array].rows == Rows::kOwned && p.arrays[array].width == 1, "an energy, array ", array,
           ", that is no (owned, 1)");
      need(!whole[array], "array ", array, " twice among its energies");
      whole[array] = true;
    }
    for (int64_t n = 0; n < static_cast<int64_t>(p.arrays.size()); ++n) {
      const Array& array = p.arrays[n];
      const bool written = writer_[n] != kAbsent;
      need(written || n == p.vectors, "array ", n, ", which no operation writes");
      const bool of_edges = n == p.vectors || (layer_of(n) == 0 && code_of(n) != Code::kSpline);
      const bool can_be_temporary = !whole[n] && !of_edges && !read_again_[n];
      need(array.lifetime != Lifetime::kTemporary || can_be_temporary, "array ", n,
           ", which is read again but temporary");
      need(array.lifetime == Lifetime::kWhole || !(whole[n] || of_edges), "array ", n,
           ", which is needed longer than it lives");
      need(array.differentiable == differentiable_[n], "array ", n,
           ", whose being differentiable is not that of what it is computed from");
    }
  }

  // ---- operations -----------------------------------------------------------------------------------------------------

  Code code_of(int64_t array) const { return p.operations[writer_[array]].code; }
  int64_t layer_of(int64_t array) const {
    return writer_[array] == kAbsent ? kAbsent : p.operations[writer_[array]].layer;
  }
  bool is_features(int64_t array, int64_t layer) const { return layer >= 1 && p.features[layer - 1] == array; }
  bool adds(Code code) const { return code == Code::kLinear || code == Code::kSelect || code == Code::kEmbedding; }

  void check_operation(const Operation& operation) {
    o_ = &operation;
    where_ = joined("operation ", number_);
    within("the code", static_cast<int64_t>(operation.code), 1, static_cast<int64_t>(std::size(kForms)));
    const Form& form = kForms[static_cast<int64_t>(operation.code) - 1];
    where_ = joined("operation ", number_, " (", form.name, ")");
    const bool of_edges = operation.code <= Code::kSpline;
    within("layer", operation.layer, layer_, of_edges ? 0 : p.n_layers);
    need(of_edges || operation.layer > 0 || operation.code == Code::kEmbedding, "layer 0, which is about edges");
    if (operation.layer != layer_) layer_ = operation.layer, of_atoms_ = false;
    within("a table", operation.table, form.has_table ? 0 : kAbsent,
           form.has_table ? static_cast<int64_t>(p.tables.size()) - 1 : kAbsent);
    need(operation.inputs.size() == std::strlen(form.inputs), operation.inputs.size(), " inputs");
    need(operation.outputs.size() == std::strlen(form.outputs), operation.outputs.size(), " outputs");
    need(static_cast<int64_t>(operation.constants.size()) == form.n_constants, operation.constants.size(),
         " constants");
    for (const int64_t constant : operation.constants)
      within("constant", constant, kAbsent, static_cast<int64_t>(p.constants.size()) - 1);
    const bool of_nodes = writes_nodes(operation);
    differentiates_ = false;
    for (size_t k = 0; k < operation.inputs.size(); ++k) check_input(form.inputs[k], operation.inputs[k], of_nodes);
    check_table(operation);
    for (size_t k = 0; k < operation.outputs.size(); ++k) check_output(form.outputs[k], operation.outputs[k], of_nodes);
    if (operation.code == Code::kEdgeBasis) distances_ = operation.outputs[0], harmonics_ = operation.outputs[1];
    if (operation.code == Code::kAgnesi) argument_ = operation.outputs[0];
    if (operation.code == Code::kRadialBasis) basis_ = operation.outputs[0], envelope_ = operation.outputs[1];
    has_splines_ |= operation.code == Code::kSpline;
  }

  /// Whether it writes rows of all nodes, before edges are summed.
  bool writes_nodes(const Operation& operation) {
    const int64_t array = operation.outputs[0];
    const bool of_nodes =
        operation.code > Code::kSpline && at("output", array).rows == Rows::kNodes && !is_features(array, layer_);
    need(!of_nodes || adds(operation.code),
         "rows of nodes as output, which only linear, select and embedding may have");
    need(!of_nodes || (operation.code == Code::kEmbedding) == (layer_ == 0), "rows of nodes as output in layer ",
         layer_);
    need(!of_nodes || !of_atoms_, "rows of nodes as output, after operations of layer ", layer_, " on owned atoms");
    of_atoms_ |= operation.code > Code::kSpline && !of_nodes;
    return of_nodes;
  }

  void check_input(char kind, int64_t array, bool of_nodes) {
    const auto same = [&](const char* what, int64_t wanted) {
      need(array == wanted, "array ", array, " as input where ", what, " are array ", wanted);
    };
    switch (kind) {
      case 'v': differentiates_ = true; return same("edge vectors", p.vectors);
      case 'd': same("distances", distances_); break;
      case 'y': same("harmonics", harmonics_); break;
      case 'a': same("transformed distances", argument_); break;
      case 'b': same("radial functions", basis_); break;
      case 'e': same("envelopes", envelope_); break;
    }
    if (array == kAbsent) return need(kind == 'a' || kind == 'e', "an input that must not be absent");
    const Array& x = at("input", array);
    need(writer_[array] != kAbsent, "array ", array, " as input before it is written");
    is_read_[array] = true;
    differentiates_ |= differentiable_[array];
    if (kind == 'h')
      return need(code_of(array) == Code::kSpline || code_of(array) == Code::kRadialNetwork,
                  "radial functions that are not computed by spline or radial_network");
    if (kind != 'n' && kind != 'x') return;
    const int64_t from = layer_of(array);
    const bool is_before = is_features(array, layer_ - 1) && from == layer_ - 1, is_h = is_features(array, layer_);
    if (kind == 'n' || of_nodes) {
      need(x.rows == Rows::kNodes && !is_h, "array ", array, " as input, which is not known for all nodes");
      need(is_before || from == layer_ || from == 0, "array ", array, " of layer ", from, " as input");
    } else {
      need((x.rows == Rows::kOwned || is_h) ? from == layer_ : is_before, "array ", array, " of layer ", from,
           " as input, which is no result of this layer or the one before");
    }
    const Code code = o_->code;
    read_again_[array] = read_again_[array] || code == Code::kConvolution || code == Code::kQuotient ||
                         code == Code::kPolynomialProduct || code == Code::kGate || code == Code::kNorm;
  }

  void check_output(char kind, int64_t array, bool of_nodes) {
    if (array == kAbsent && kind == 'p') return;
    const Rows rows = at("output", array).rows;
    need(array != p.vectors, "edge vectors as output");
    if (kind == 'E') need(rows == Rows::kEdges, "array ", array, " as output, which has no rows of edges");
    else if (kind == 'P' || kind == 'p')
      need(rows == Rows::kPairs, "array ", array, " as output, which has no rows of pairs");
    else need(rows == Rows::kOwned || rows == Rows::kNodes, "array ", array, " as output, which has no rows of atoms");
    need(layer_ > 0 || kind != 'O' || of_nodes, "owned rows as output in layer 0");
    if (writer_[array] == kAbsent) {
      writer_[array] = number_;
    } else {
      need(adds(o_->code) && layer_of(array) == layer_, "array ", array, " as output, which another operation writes");
      need(!is_read_[array], "array ", array, " as output after it was read");
    }
    differentiable_[array] = differentiable_[array] || differentiates_;
  }

  // ---- tables and constants -------------------------------------------------------------------------------------------

  /// Reads the words of a table one after another.
  class Words {
   public:
    Words(Check& check, const Program::Table& table) : check_(check), at_(table.words), end_(at_ + table.n_words) {}
    int64_t integer(const char* what, int64_t least, int64_t most) { return check_.within(what, next(), least, most); }
    int64_t index(const char* what, int64_t n) { return integer(what, 0, n - 1); }
    int64_t dimension(const char* what) {  // 2 l + 1
      const int64_t value = integer(what, 1, 2 * kMostDegree + 1);
      check_.need(value % 2 == 1, what, " ", value, ", which is even");
      return value;
    }
    double number(const char* what) {
      double value;
      const int64_t word = next();
      std::memcpy(&value, &word, sizeof value);
      check_.need(std::isfinite(value), what, " ", value);
      return value;
    }
    double positive(const char* what) {
      const double value = number(what);
      check_.need(value > 0, what, " ", value, ", which must be positive");
      return value;
    }
    void activation() { integer("an activation", 0, 2), number("a constant of an activation"); }
    void same(const char* what, int64_t wanted) {
      const int64_t value = next();
      check_.need(value == wanted, what, " ", value, " instead of ", wanted);
    }

   private:
    int64_t next() {
      check_.need(at_ < end_, "a table that ends too early");
      check_.need(++check_.words_read_ <= kMostWords, "the latest of too many large tables");
      return *at_++;
    }
    Check& check_;
    const int64_t *at_, *end_;
  };

  /// Parts of a row.
  class Parts {
   public:
    Parts(const Check& check, int64_t length) : check_(check), length_(length) {}
    void add(int64_t start, int64_t n) {
      if (n == 0) return;
      check_.need(start >= 0 && n <= length_ && start <= length_ - n, "a part at ", start, " of length ", n,
                  " of a row of ", length_);
      parts_.push_back({start, n});
    }
    /// Each entry of the row is in one part; `gaps`: or in none.
    void check(bool gaps = false) {
      std::sort(parts_.begin(), parts_.end());
      int64_t end = 0;
      for (const auto& part : parts_) {
        check_.need(gaps ? part.first >= end : part.first == end, "a part of a row at ", part.first,
                    ", where the one before ends at ", end);
        end = part.first + part.second;
      }
      check_.need(gaps || end == length_, "parts of a row of ", length_, " that end at ", end);
    }

   private:
    const Check& check_;
    int64_t length_;
    std::vector<std::pair<int64_t, int64_t>> parts_;
  };

  int64_t width(int64_t array) const { return p.arrays[array].width; }
  void input_width(size_t k, int64_t wanted) const {
    need(width(o_->inputs[k]) == wanted, "input ", k, " of width ", width(o_->inputs[k]), " instead of ", wanted);
  }
  void output_width(size_t k, int64_t wanted) const {
    const int64_t found = at("output", o_->outputs[k]).width;
    need(found == wanted, "output ", k, " of width ", found, " instead of ", wanted);
  }
  /// A constant that must not be absent.
  const Program::Constant& constant(size_t k, size_t n_axes, bool is_integer = false) const {
    need(o_->constants[k] != kAbsent, "no constant ", k);
    const Program::Constant& found = p.constants[o_->constants[k]];
    need(found.shape.size() == n_axes && found.is_integer == is_integer, "constant ", k, " of ", found.shape.size(),
         " axes instead of ", n_axes, ", or of the wrong dtype");
    return found;
  }
  void constant_of(size_t k, const std::vector<int64_t>& shape) const {
    const Program::Constant& found = constant(k, shape.size());
    for (size_t axis = 0; axis < shape.size(); ++axis)
      need(found.shape[axis] == shape[axis], "axis ", axis, " of constant ", k, " of length ", found.shape[axis],
           " instead of ", shape[axis]);
  }
  /// Types of pairs of elements; without them there is one type.
  void types(size_t k, int64_t n_types) const {
    if (o_->constants[k] == kAbsent) return need(n_types == 1, "no constant ", k, " for ", n_types, " types");
    const Program::Constant& found = constant(k, 2, true);
    need(found.shape[0] == p.n_elements && found.shape[1] == p.n_elements,
         "types that are not those of pairs of elements");
    for (int64_t n = 0; n < found.size; ++n) within("a type", found.integers()[n], -1, n_types - 1);
  }

  void check_table(const Operation& operation) {
    Words words(*this, operation.table < 0 ? Program::Table{nullptr, 0} : p.tables[operation.table]);
    switch (operation.code) {
      case Code::kEdgeBasis: return edge_basis(words);
      case Code::kAgnesi: return agnesi(words);
      case Code::kRadialBasis: return radial_basis(words);
      case Code::kRadialNetwork: return radial_network(words);
      case Code::kSpline: return spline(words);
      case Code::kEmbedding: return constant_of(0, {p.n_elements, at("output", operation.outputs[0]).width});
      case Code::kConvolution: return convolution(words);
      case Code::kNeighbourDensity: return neighbour_density(words);
      case Code::kPoolingDensity: return output_width(0, 1), constant_of(0, {width(operation.inputs[0])});
      case Code::kQuotient: return input_width(1, 1), output_width(0, width(operation.inputs[0]));
      case Code::kLinear: return linear(words);
      case Code::kPolynomialProduct: return polynomial_product(words);
      case Code::kGate: return gate(words);
      case Code::kNorm: return norm(words);
      case Code::kSelect: return select(words);
      case Code::kRepulsion: return repulsion(words);
    }
  }

  void edge_basis(Words& words) {
    need(distances_ == kAbsent, "an edge_basis before it");
    const int64_t l_max = words.integer("l_max", 0, kMostDegree);
    output_width(0, 1), output_width(1, (l_max + 1) * (l_max + 1));
  }

  void agnesi(Words& words) {
    need(argument_ == kAbsent && basis_ == kAbsent, "an agnesi or radial_basis before it");
    words.same("a number of elements", p.n_elements);
    for (const char* what : {"a", "q", "p"}) words.number(what);
    for (int64_t z = 0; z < p.n_elements; ++z) words.positive("a radius");
    output_width(0, 1);
  }

  void radial_basis(Words& words) {
    need(basis_ == kAbsent, "a radial_basis before it");
    words.integer("a family", 0, 2);
    const int64_t number = words.integer("a number of functions", 1, kMost);
    words.positive("a cutoff");
    words.integer("a power of the envelope", 0, 64);
    const bool on_basis = words.integer("a place of the envelope", 0, 1) == 1;
    need(on_basis == (o_->outputs[1] == kAbsent), "an envelope on the basis and beside it, or nowhere");
    output_width(0, number);
    if (!on_basis) output_width(1, 1);
    constant_of(0, {number});
  }

  void radial_network(Words& words) {
    words.activation();
    const int64_t n_layers = words.integer("a number of layers", 0, 64);
    int64_t before = words.integer("a width", 1, kMost), n_weights = 0, n_biases = 0;
    input_width(0, before);
    for (int64_t layer = 0; layer < n_layers; ++layer) {
      const int64_t next = words.integer("a width", 1, kMost);
      n_weights += before * next, n_biases += next, before = next;
    }
    output_width(0, before);
    if (n_layers > 0) constant_of(0, {n_weights});
    else need(o_->constants[0] == kAbsent && o_->constants[1] == kAbsent, "weights without layers");
    if (o_->constants[1] != kAbsent) constant_of(1, {n_biases});
  }

  void spline(Words& words) {
    const int64_t n_intervals = words.integer("a number of intervals", 1, kMost);
    words.positive("a width of intervals");
    const int64_t n_functions = words.integer("a number of functions", 1, kMost);
    output_width(0, n_functions);
    const int64_t n_types = within("types", constant(0, 3).shape[0], 1, kMost);
    constant_of(0, {n_types, 4 * n_intervals + 2, n_functions});
    types(1, n_types);
  }

  void convolution(Words& words) {
    const int64_t n_paths = words.integer("a number of paths", 1, kMost);
    const int64_t dim_in = words.integer("a length of a row", 1, kMost),
                  dim_out = words.integer("a length of a row", 1, kMost);
    const int64_t n_harmonics = words.integer("a number of harmonics", 1, kMost),
                  n_weights = words.integer("a number of weights", 1, kMost);
    const int64_t largest = words.integer("a largest path", 1, kMost),
                  n_couplings = words.integer("a number of couplings", 0, kMost);
    Parts out(*this, dim_out);
    struct Path {
      int64_t entries, end;
    };
    std::vector<Path> paths;
    int64_t weight = 0, coupling = 0, most = 0;
    for (int64_t n = 0; n < n_paths; ++n) {
      const int64_t d_in = words.dimension("a path from dimension"), d_out = words.dimension("a path to dimension");
      const int64_t in = words.index("a start", dim_in), channels = words.integer("channels", 1, kMost);
      Parts(*this, dim_in).add(in, d_in * channels);
      const int64_t start = words.index("a start", dim_out), row = words.integer("channels", channels, kMost);
      for (int64_t b = 0; b < d_out; ++b) out.add(start + b * row, channels);
      words.same("a first weight", weight);
      words.same("a first coupling", coupling);
      coupling = words.integer("an end of couplings", coupling, n_couplings);
      weight += channels, most = std::max(most, d_in * d_out);
      paths.push_back({d_in * d_out, coupling});
    }
    out.check();
    need(weight == n_weights && coupling == n_couplings && most == largest,
         "sums over its paths that differ from its head");
    int64_t number = 0;
    for (const Path& path : paths)
      for (; number < path.end; ++number) {
        words.index("a harmonic", n_harmonics), words.index("an entry of a coupling", path.entries);
        words.number("a coupling");
      }
    input_width(0, dim_in), input_width(1, n_harmonics), output_width(0, dim_out);
    const int64_t hidden = o_->inputs[2];
    if (o_->constants[0] == kAbsent) {
      need(code_of(hidden) == Code::kSpline && o_->constants[1] == kAbsent, "no weights, but no splines, or types");
      return input_width(2, n_weights);
    }
    need(code_of(hidden) == Code::kRadialNetwork, "weights for radial functions that are splines");
    const int64_t n_types = within("types", constant(0, 3).shape[0], 1, kMost);
    constant_of(0, {n_types, width(hidden), n_weights});
    types(1, n_types);
  }

  void neighbour_density(Words& words) {
    const int64_t l_max = words.integer("l_max", 0, kMostDegree),
                  n_hidden = words.integer("a number of functions", 1, kMost);
    const int64_t n_types = words.integer("a number of types", 1, kMost);
    int64_t row = 0;
    for (int64_t l = 0; l <= l_max; ++l) {
      const int64_t first = words.index("a first function", n_hidden);
      row += (2 * l + 1) * n_types * words.integer("a number of functions", 1, n_hidden - first);
    }
    input_width(0, (l_max + 1) * (l_max + 1)), input_width(1, n_hidden), output_width(0, row);
    if (o_->constants[0] == kAbsent)
      need(n_types == p.n_elements, n_types, " types of senders for ", p.n_elements, " elements");
    else types(0, n_types);
  }

  void linear(Words& words) {
    const int64_t n_blocks = words.integer("a number of blocks", 1, kMost);
    const int64_t dim_in = words.integer("a length of a row", 1, kMost),
                  dim_out = words.integer("a length of a row", 1, kMost);
    Parts in(*this, dim_in), out(*this, dim_out);
    int64_t weight = 0;
    for (int64_t n = 0; n < n_blocks; ++n) {
      const int64_t dim = words.dimension("an irrep of dimension");
      const int64_t x = words.integer("a start", 0, dim_in), c = words.integer("channels", 0, kMost);
      const int64_t y = words.integer("a start", 0, dim_out), d = words.integer("channels", 0, kMost);
      in.add(x, dim * c), out.add(y, dim * d);
      words.same("a first weight", weight);
      weight += c * d;
    }
    in.check(), out.check();
    input_width(0, dim_in), output_width(0, dim_out);
    const int64_t size = constant(0, 1).size;
    need(size == weight || size == weight * p.n_elements, size, " weights instead of ", weight,
         " or as many for each element");
  }

  void polynomial_product(Words& words) {
    const int64_t n_components = words.integer("a number of components", 1, kMost),
                  n_rows = words.integer("a number of rows", 1, kMost);
    const int64_t n_paths = words.integer("a number of paths", 1, kMost),
                  correlation = words.integer("correlation", 1, kMostCorrelation);
    const int64_t n_terms = words.integer("a number of terms", 1, kMost),
                  n_coefficients = words.integer("a number of coefficients", 1, kMost << 4);
    for (int64_t n = 0; n < n_terms; ++n) {
      int64_t before = words.index("a component", n_components);
      for (int64_t k = 1; k < correlation; ++k) {
        const int64_t next = words.integer("a component", kAbsent, n_components - 1);
        need(next == kAbsent || next >= before, "a term whose components are not sorted, or go on after their end");
        before = next == kAbsent ? n_components : next;
      }
    }
    for (int64_t n = 0; n < n_coefficients; ++n) {
      words.index("a row", n_rows), words.index("a term", n_terms), words.index("a path", n_paths);
      words.number("a coefficient");
    }
    const std::vector<int64_t>& shape = constant(0, 3).shape;
    need(shape[0] == 1 || shape[0] == p.n_elements, "weights of ", shape[0], " elements");
    const int64_t channels = within("channels", shape[2], 1, kMost);
    constant_of(0, {shape[0], n_paths, channels});
    need(shape[0] * channels <= kMostMixed / n_coefficients, "more couplings times weights than memory holds");
    input_width(0, n_components * channels), output_width(0, n_rows * channels);
  }

  void gate(Words& words) {
    const int64_t n_segments = words.integer("a number of segments", 1, kMost);
    const int64_t dim_in = words.integer("a length of a row", 1, kMost),
                  dim_out = words.integer("a length of a row", 1, kMost);
    Parts in(*this, dim_in), out(*this, dim_out);
    for (int64_t n = 0; n < n_segments; ++n) {
      const int64_t dim = gated_dimension(words), channels = words.integer("channels", 1, kMost);
      const int64_t x = words.index("a start", dim_in), gates = words.index("a start of gates", dim_in),
                    y = words.index("a start", dim_out);
      in.add(x, std::max<int64_t>(1, dim) * channels), out.add(y, std::max<int64_t>(1, dim) * channels);
      if (dim > 0) in.add(gates, channels);
      words.activation();
    }
    in.check(), out.check();
    input_width(0, dim_in), output_width(0, dim_out);
  }
  /// 2 l + 1, or 0 for scalars.
  int64_t gated_dimension(Words& words) {
    const int64_t dim = words.integer("an irrep of dimension", 0, 2 * kMostDegree + 1);
    need(dim == 0 || (dim % 2 == 1 && dim > 1), "an irrep of dimension ", dim);
    return dim;
  }

  void norm(Words& words) {
    const int64_t n_segments = words.integer("a number of segments", 1, kMost),
                  dim_in = words.integer("a length of a row", 1, kMost);
    Parts row(*this, dim_in);
    for (int64_t n = 0; n < n_segments; ++n) {
      const int64_t dim = gated_dimension(words), channels = words.integer("channels", 1, kMost);
      row.add(words.index("a start", dim_in), std::max<int64_t>(1, dim) * channels);
      words.activation();
    }
    row.check();
    input_width(0, dim_in), output_width(0, dim_in);
  }

  void select(Words& words) {
    const int64_t n_blocks = words.integer("a number of blocks", 0, kMost);
    const int64_t dim_in = words.integer("a length of a row", 1, kMost),
                  dim_out = words.integer("a length of a row", 1, kMost);
    Parts in(*this, dim_in), out(*this, dim_out);
    for (int64_t n = 0; n < n_blocks; ++n) {
      const int64_t dim = words.dimension("an irrep of dimension");
      const int64_t x = words.index("a start", dim_in), c = words.integer("channels", 1, kMost);
      const int64_t y = words.index("a start", dim_out), d = words.integer("channels", c, kMost);
      in.add(x, dim * c), out.add(y, dim * d);
    }
    in.check(true), out.check(true);
    input_width(0, dim_in), output_width(0, dim_out);
  }

  void repulsion(Words& words) {
    need(layer_ == 1, "layer ", layer_, " instead of 1");
    words.same("a number of elements", p.n_elements);
    words.integer("a power of the envelope", 1, 64);
    const int64_t n_terms = words.integer("a number of terms", 1, 64);
    words.positive("a length"), words.number("a power"), words.number("the energy of two charges");
    for (int64_t n = 0; n < 2 * n_terms; ++n) words.number("a coefficient");
    for (int64_t z = 0; z < p.n_elements; ++z) words.positive("a charge");
    for (int64_t z = 0; z < p.n_elements; ++z) words.positive("a half end");
    output_width(0, 1);
  }

  const Program& p;
  const Operation* o_ = nullptr;
  std::string where_;
  int64_t number_ = 0, layer_ = 0, words_read_ = 0;
  bool of_atoms_ = false, differentiates_ = false, has_splines_ = false;
  int64_t distances_ = kAbsent, harmonics_ = kAbsent, argument_ = kAbsent, basis_ = kAbsent, envelope_ = kAbsent;
  std::vector<int64_t> writer_;  // of each array, the first
  std::vector<bool> is_read_, differentiable_, read_again_;
};

}  // namespace

void check(const Program& program) { Check(program).all(); }

}  // namespace multiace
