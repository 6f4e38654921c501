#include "polynomial_product_pack.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "errors.h"

namespace multiace {
namespace {

using Monomial = std::vector<int64_t>;                        // sorted components of its factors
using Coefficient = std::vector<std::pair<int64_t, int64_t>>;  // path, and bits of U
struct PolynomialTerm {
  Monomial factors;
  const Coefficient* coefficient;
};
using Polynomial = std::vector<PolynomialTerm>;

/// k_1 A_1 + k_2 A_2 + ... + A_a (...) + A_b (...).
struct Brackets {
  int64_t factor;                // before the brackets; 0 for the polynomial itself
  Polynomial leaves;             // terms that end here
  std::vector<std::unique_ptr<Brackets>> inner;
  int64_t height = 1;            // how many brackets stand inside one another

  Brackets(const Polynomial& polynomial, int64_t factor) : factor(factor) {
    Polynomial rest;
    for (const PolynomialTerm& term : polynomial) (term.factors.size() == 1 ? leaves : rest).push_back(term);
    while (!rest.empty()) {
      const int64_t common = most_shared(rest);
      Polynomial quotient, others;
      for (const PolynomialTerm& term : rest) {
        const auto at = std::find(term.factors.begin(), term.factors.end(), common);
        if (at == term.factors.end()) {
          others.push_back(term);
          continue;
        }
        quotient.push_back(term);
        quotient.back().factors.erase(quotient.back().factors.begin() + (at - term.factors.begin()));
      }
      inner.push_back(std::make_unique<Brackets>(quotient, common));
      height = std::max(height, 1 + inner.back()->height);
      rest = std::move(others);
    }
  }

  /// Of the components that most terms have, the last.
  static int64_t most_shared(const Polynomial& polynomial) {
    std::map<int64_t, int64_t> shared;
    for (const PolynomialTerm& term : polynomial)
      for (const int64_t component : std::set<int64_t>(term.factors.begin(), term.factors.end())) ++shared[component];
    auto most = shared.begin();
    for (auto each = shared.begin(); each != shared.end(); ++each)
      if (each->second >= most->second) most = each;
    return most->first;
  }

  /// These brackets and all inside, each with those around it.
  void flatten(const Brackets* around, std::vector<std::pair<const Brackets*, const Brackets*>>& to) const {
    to.push_back({this, around});
    for (const auto& brackets : inner) brackets->flatten(this, to);
  }
};

/// The polynomial of each row; coefficients of terms are kept in `of_rows`.
std::vector<Polynomial> polynomials(const int64_t* words, std::vector<std::map<int64_t, Coefficient>>& of_rows) {
  const int64_t n_rows = words[1], correlation = words[3], n_terms = words[4], n_coefficients = words[5];
  const int64_t *terms = words + 6, *coefficients = terms + n_terms * correlation;
  std::vector<Polynomial> rows(n_rows);
  of_rows.resize(n_rows);
  for (const int64_t* c = coefficients; c < coefficients + 4 * n_coefficients; c += 4) {
    const auto [entry, is_new] = of_rows[c[0]].try_emplace(c[1]);
    if (is_new) {
      Monomial factors;
      for (const int64_t* f = terms + c[1] * correlation; f < terms + (c[1] + 1) * correlation; ++f)
        if (*f >= 0) factors.push_back(*f);
      rows[c[0]].push_back({factors, &entry->second});
    }
    entry->second.push_back({c[2], c[3]});
  }
  return rows;
}

}  // namespace

std::vector<int64_t> pack_product(const int64_t* words, int64_t) {
  std::vector<std::map<int64_t, Coefficient>> of_rows;
  std::vector<int64_t> rows, heads, leaves;
  std::vector<std::pair<std::pair<int64_t, int64_t>, int64_t>> mixes;  // term, path, value
  int64_t most_inner = 0;
  for (const Polynomial& polynomial : polynomials(words, of_rows)) {
    const Brackets whole(polynomial, 0);
    std::vector<std::pair<const Brackets*, const Brackets*>> nested;
    whole.flatten(nullptr, nested);
    const auto key = [](const auto& pair) {
      return std::make_pair(std::make_pair(pair.first->height, pair.second == nullptr), pair.first->leaves.size());
    };
    std::stable_sort(nested.begin(), nested.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
    std::map<const Brackets*, int64_t> position;
    for (const auto& [brackets, around] : nested)
      if (!brackets->inner.empty() || around == nullptr) position.emplace(brackets, static_cast<int64_t>(position.size()));
    const int64_t n_inner = static_cast<int64_t>(position.size());
    rows.insert(rows.end(), {static_cast<int64_t>(nested.size()), n_inner, static_cast<int64_t>(heads.size()) / 3,
                             static_cast<int64_t>(leaves.size())});
    for (const auto& [brackets, around] : nested) {
      heads.insert(heads.end(), {around ? position[around] : 0, brackets->factor, static_cast<int64_t>(brackets->leaves.size())});
      for (const PolynomialTerm& leaf : brackets->leaves) {
        for (const auto& [path, value] : *leaf.coefficient)
          mixes.push_back({{static_cast<int64_t>(leaves.size()), path}, value});
        leaves.push_back(leaf.factors[0]);
      }
    }
    most_inner = std::max(most_inner, n_inner);
  }
  std::vector<int64_t> packed{words[0], words[1], words[2], static_cast<int64_t>(leaves.size()),
                              static_cast<int64_t>(mixes.size()), most_inner, static_cast<int64_t>(heads.size()) / 3};
  for (const auto* part : {&rows, &heads, &leaves}) packed.insert(packed.end(), part->begin(), part->end());
  // sums are reordered so that none waits for the one before: neighbours add to different places
  const size_t step = mixes.size() / 8 + 1;
  for (size_t first = 0; first < step; ++first)
    for (size_t k = first; k < mixes.size(); k += step) {
      packed.push_back(mixes[k].first.first | mixes[k].first.second << 32);
      packed.push_back(mixes[k].second);
    }
  return packed;
}

}  // namespace multiace

int multiace_polynomial_product_pack(MultiacePolynomialProductPack* c) {
  return multiace::error_code([&] {
    const std::vector<int64_t> packed = multiace::pack_product(c->words, c->n_words);
    c->n_packed = static_cast<int64_t>(packed.size());
    if (c->packed) std::copy(packed.begin(), packed.end(), c->packed);
    return multiace::kSuccess;
  });
}
