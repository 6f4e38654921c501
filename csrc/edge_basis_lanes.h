// Distance and harmonics of vectors of edges, and the derivatives of harmonics.
//
// Derivatives of a solid harmonic are sums of at most two solid harmonics of the degree below: one table of these
// numbers gives gradients, and applied twice their tangents.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "simd.h"

namespace multiace {

constexpr int kMostL = 6, kMostHarmonics = (kMostL + 1) * (kMostL + 1);
constexpr double kTiny = 1e-30;  // of r^2, as in kernels.operations.edge_basis

constexpr int place(int l, int m) { return l * l + l + m; }

/// dY[harmonic] / d(axis) += value Y[lower].
struct Term {
  int harmonic, axis, lower;
  double value;
};

/// Q_{l,m} = a z Q_{l-1,m} - b r^2 Q_{l-2,m}, Q_{m,m} = first; and the derivatives.
struct Harmonics {
  double first[kMostL + 1], a[kMostL + 1][kMostL + 1], b[kMostL + 1][kMostL + 1];
  std::vector<Term> terms;                // degree after degree
  int64_t n_terms[kMostL + 1];            // up to and including a degree

  Harmonics() {
    for (int m = 0; m <= kMostL; ++m) {
      first[m] = norm(m, m);
      for (int k = 3; k < 2 * m; k += 2) first[m] *= k;  // (2m - 1)!!
      for (int l = m + 1; l <= kMostL; ++l) {
        a[l][m] = std::sqrt((4.0 * l * l - 1) / (l * l - m * m));
        b[l][m] = a[l][m] * std::sqrt(((l - 1.0) * (l - 1) - m * m) / (4.0 * (l - 1) * (l - 1) - 1));
      }
    }
    for (int l = 0; l <= kMostL; ++l) {
      for (int m = 0; m <= l; ++m) add_terms(l, m);
      n_terms[l] = static_cast<int64_t>(terms.size());
    }
  }

 private:
  /// Y_{l,+-m} = norm Re, Im R_{l,m}, R_{l,m} = r^l P_lm(z / r) e^(i m phi) without (-1)^m.
  static double norm(int l, int m) {
    double ratio = (m == 0 ? 1.0 : 2.0) * (2 * l + 1);
    for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
    return std::sqrt(ratio);
  }

  /// d_z R_{l,m} = (l + m) R_{l-1,m}, (d_x + i d_y) R_{l,m} = -R_{l-1,m+1},
  /// (d_x - i d_y) R_{l,m} = (l + m)(l + m - 1) R_{l-1,m-1}.
  void add_terms(int l, int m) {
    const double up = -0.5 * (m == 0 ? 2.0 : 1.0), down = 0.5 * (l + m) * (l + m - 1);
    add(l, m, 2, m, l + m);
    add(l, m, 0, m + 1, up);
    add(l, m, 1, -m - 1, up);
    if (m == 0) return;
    add(l, -m, 2, -m, l + m);
    add(l, -m, 0, -m - 1, up);
    add(l, -m, 1, m + 1, -up);
    add(l, m, 0, m - 1, down);
    add(l, -m, 1, m - 1, down);
    if (m == 1) return;
    add(l, m, 1, 1 - m, -down);
    add(l, -m, 0, 1 - m, down);
  }

  void add(int l, int m, int axis, int lower, double value) {
    if (std::abs(lower) >= l) return;
    value *= norm(l, std::abs(m)) / norm(l - 1, std::abs(lower));
    terms.push_back({place(l, m), axis, place(l - 1, lower), value});
  }
};

inline const Harmonics& harmonics() {
  static const Harmonics table;
  return table;
}

/// One vector of edges.
template <class T>
struct Edges {
  Vector<T> n[3], inverse, distance;  // r / d, 1 / d, d
  Vector<T> y[kMostHarmonics];

  void evaluate(int l_max, const Vector<T>* r) {
    distance = square_root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2] + T(kTiny));
    inverse = T(1) / distance;
    for (int k = 0; k < 3; ++k) n[k] = r[k] * inverse;
    const Harmonics& table = harmonics();
    const Vector<T> square = n[0] * n[0] + n[1] * n[1] + n[2] * n[2];
    Vector<T> cosine = broadcast(T(1)), sine = zero<T>();  // Re and Im of (x + iy)^m
    for (int m = 0; m <= l_max; ++m) {
      Vector<T> q = broadcast(static_cast<T>(table.first[m])), before = zero<T>();
      for (int l = m; l <= l_max; ++l) {
        if (l > m) {
          const Vector<T> next = static_cast<T>(table.a[l][m]) * n[2] * q - static_cast<T>(table.b[l][m]) * square * before;
          before = q;
          q = next;
        }
        y[place(l, m)] = q * cosine;
        if (m > 0) y[place(l, -m)] = q * sine;
      }
      const Vector<T> next = n[0] * cosine - n[1] * sine;
      sine = n[0] * sine + n[1] * cosine;
      cosine = next;
    }
  }

 private:
  static Vector<T> square_root(Vector<T> x) {
    Vector<T> root;
    for (int k = 0; k < kWidth<T>; ++k) root[k] = std::sqrt(x[k]);
    return root;
  }
};

}  // namespace multiace
