// Sigmoid and tanh of vectors, within two units in the last place where they are normal numbers, and
// activations with their derivatives; sine and cosine within two units of the last place of 1. NaN
// stays NaN.
#pragma once

#include <cstdint>
#include <type_traits>

#include "simd.h"

namespace multiace {

/// Bits of a floating point number, and the numbers that take them apart.
template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int kMantissa = 23, kBias = 127, kDegree = 7;
  static constexpr float kRound = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440054690583e-4f;
  static constexpr float kLowest = -87.33f, kHighest = 88.8f;  // e^x is 2^-126 and infinity
  static constexpr int kTrigonometric = 11;
  static constexpr float kQuarter[3] = {1.5703125f, 4.83751296997e-4f, 7.549789948768648e-8f};  // pi / 2
};
template <>
struct Format<double> {
  static constexpr int kMantissa = 52, kBias = 1023, kDegree = 13;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 2^52
  static constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kLowest = -708.39, kHighest = 709.8;
  static constexpr int kTrigonometric = 19;
  static constexpr double kQuarter[3] = {1.57079625129699707031, 7.54978941586159635335e-8, 5.39030285815811905290e-15};
};

template <class T>
constexpr T inverse_factorial(int k) {
  double value = 1.0;
  for (int q = 2; q <= k; ++q) value /= q;
  return static_cast<T>(value);
}

/// e^x = 2^n (1 + p), p = e^r - 1, |r| <= ln 2 / 2.
template <class T>
struct Exponential {
  Vector<T> power, p;

  explicit Exponential(Vector<T> x) {
    using F = Format<T>;
    x = x > F::kHighest ? broadcast(F::kHighest) : x;
    x = x < F::kLowest ? broadcast(F::kLowest) : x;
    const Vector<T> shifted = x * T(1.44269504088896340736) + F::kRound;
    const Vector<T> n = shifted - F::kRound;
    const Vector<T> r = (x - n * F::kLn2High) - n * F::kLn2Low;
    Vector<T> series = broadcast(inverse_factorial<T>(F::kDegree));  // of Taylor, its rest is below rounding
#pragma GCC unroll 16
    for (int k = F::kDegree - 1; k >= 2; --k) series = series * r + inverse_factorial<T>(k);
    p = series * r * r + r;
    using Integer = typename Simd<T>::Integer;  // the low bits of `shifted` are n
    const Integers<T> bits = (Integers<T>)shifted + Integer(F::kBias);
    power = (Vector<T>)(bits << F::kMantissa);
  }

};

/// e^x, at least 2^-126 (2^-1022), infinite from 2^127.5 (2^1023.5).
template <class T>
inline Vector<T> exponential(Vector<T> x) {
  const Exponential<T> e(x);
  return e.power * (T(1) + e.p);
}

template <class T>
inline Vector<T> sigmoid(Vector<T> x) {
  return T(1) / (T(1) + exponential<T>(-x));
}

template <class T>
inline Vector<T> tanh(Vector<T> x) {
  const Vector<T> magnitude = x < T(0) ? -x : x;
  const Exponential<T> e(T(-2) * magnitude);
  const Vector<T> minus_one = e.power * e.p + (e.power - T(1));  // e^(-2|x|) - 1, exact to rounding near 0
  const Vector<T> result = -minus_one / (T(2) + minus_one);
  return x < T(0) ? -result : result;
}

/// sin x and cos x, |x| below 10^4: of r = x - n pi/2 by Taylor, then by the quarter n.
template <class T>
inline void sine_and_cosine(Vector<T> x, Vector<T>& sine, Vector<T>& cosine) {
  using F = Format<T>;
  const Vector<T> shifted = x * T(0.63661977236758134308) + F::kRound;
  const Vector<T> n = shifted - F::kRound;
  const Vector<T> r = ((x - n * F::kQuarter[0]) - n * F::kQuarter[1]) - n * F::kQuarter[2];
  const Vector<T> minus = -(r * r);
  Vector<T> odd = broadcast(inverse_factorial<T>(F::kTrigonometric));
  Vector<T> even = broadcast(inverse_factorial<T>(F::kTrigonometric - 1));
#pragma GCC unroll 16
  for (int k = F::kTrigonometric - 2; k >= 1; k -= 2) {
    odd = odd * minus + inverse_factorial<T>(k);
    even = even * minus + inverse_factorial<T>(k - 1);
  }
  odd *= r;
  const Integers<T> quarter = (Integers<T>)shifted & 3;  // the low bits of `shifted` are n
  const auto swapped = (quarter & 1) != 0;
  sine = swapped ? even : odd;
  cosine = swapped ? odd : even;
  sine = (quarter & 2) != 0 ? -sine : sine;
  cosine = ((quarter + 1) & 2) != 0 ? -cosine : cosine;
}

enum class Function : int64_t { kSilu, kTanh, kSigmoid };

/// f = constant * function, and its derivatives as far as asked for.
template <class T>
struct Derivatives {
  Vector<T> f, first, second;
};

template <class T, Function Of, int Order>
inline Derivatives<T> derivatives(Vector<T> x, T constant) {
  Derivatives<T> d;
  if constexpr (Of == Function::kTanh) {
    const Vector<T> t = tanh<T>(x), rest = T(1) - t * t;
    d.f = constant * t;
    if constexpr (Order >= 1) d.first = constant * rest;
    if constexpr (Order >= 2) d.second = T(-2) * constant * t * rest;
  } else {
    const Vector<T> s = sigmoid<T>(x), slope = s * (T(1) - s);
    if constexpr (Of == Function::kSigmoid) {
      d.f = constant * s;
      if constexpr (Order >= 1) d.first = constant * slope;
      if constexpr (Order >= 2) d.second = constant * slope * (T(1) - T(2) * s);
    } else {
      d.f = constant * (x * s);
      if constexpr (Order >= 1) d.first = constant * (s + x * slope);
      if constexpr (Order >= 2) d.second = constant * slope * (T(2) + x * (T(1) - T(2) * s));
    }
  }
  return d;
}

/// Call body with the function as a compile-time constant.
template <class Body>
inline void with_function(Function function, const Body& body) {
  switch (function) {
    case Function::kSilu: return body(std::integral_constant<Function, Function::kSilu>{});
    case Function::kTanh: return body(std::integral_constant<Function, Function::kTanh>{});
    case Function::kSigmoid: return body(std::integral_constant<Function, Function::kSigmoid>{});
  }
}

}  // namespace multiace
