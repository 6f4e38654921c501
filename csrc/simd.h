// Vectors of one instruction set: a lane type, loads and stores of full and partial vectors.
//
// The width of `Vector<T>` must be that of the instruction set the file is compiled for: wider
// types compile too, into code that is many times slower.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace multiace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kRegisters = 16;
#else
constexpr int kVectorBytes = 16;
constexpr int kRegisters = 16;
#endif

template <int Bytes>
struct IntegerOf {
  typedef int32_t Type;
};
template <>
struct IntegerOf<8> {
  typedef int64_t Type;
};

template <class T>
struct Simd {
  typedef typename IntegerOf<sizeof(T)>::Type Integer;
  typedef Integer Integers __attribute__((vector_size(kVectorBytes)));
  typedef T Vector __attribute__((vector_size(kVectorBytes), may_alias));
  typedef T Unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
  static constexpr int kWidth = kVectorBytes / sizeof(T);
};
template <class T>
using Vector = typename Simd<T>::Vector;
template <class T>
using Integers = typename Simd<T>::Integers;  // as many as lanes, of the same size
template <class T>
constexpr int kWidth = Simd<T>::kWidth;

/// Smallest multiple of the vector width that is not below n.
template <class T>
constexpr int64_t padded(int64_t n) {
  return (n + kWidth<T> - 1) / kWidth<T> * kWidth<T>;
}

template <class T>
inline Vector<T> zero() {
  return Vector<T>{};
}
template <class T>
inline Vector<T> broadcast(T value) {
  return Vector<T>{} + value;
}
template <class T>
inline Vector<T> load(const T* p) {
  return *reinterpret_cast<const typename Simd<T>::Unaligned*>(p);
}
template <class T>
inline void store(T* p, Vector<T> v) {
  *reinterpret_cast<typename Simd<T>::Unaligned*>(p) = v;
}

/// Load the first n lanes, n <= width; the others are zero.
template <class T>
inline Vector<T> load(const T* p, int n) {
  if (__builtin_expect(n >= kWidth<T>, 1)) return load(p);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vector<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
  else
    return (Vector<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#else
  T lanes[kWidth<T>] = {};
  for (int k = 0; k < n; ++k) lanes[k] = p[k];
  return load(lanes);
#endif
}

/// Store the first n lanes, n <= width.
template <class T>
inline void store(T* p, Vector<T> v, int n) {
  if (__builtin_expect(n >= kWidth<T>, 1)) return store(p, v);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
  T lanes[kWidth<T>];
  store(lanes, v);
  for (int k = 0; k < n; ++k) p[k] = lanes[k];
#endif
}

/// Sum of the lanes.
template <class T>
inline T sum(Vector<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_reduce_add_ps((__m512)v);
  else
    return _mm512_reduce_add_pd((__m512d)v);
#else
  T total = v[0];
  for (int k = 1; k < kWidth<T>; ++k) total += v[k];
  return total;
#endif
}

/// Sums of the lanes of N vectors; `totals` has room for a multiple of 4.
template <class T, int N>
inline void sum_each(const Vector<T>* v, T* totals) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    for (int k = 0; k < N; k += 4) {  // four at a time: transposed within quarters, then quarters added
      const __m512 a = (__m512)v[k], b = k + 1 < N ? (__m512)v[k + 1] : a, c = k + 2 < N ? (__m512)v[k + 2] : a,
                   d = k + 3 < N ? (__m512)v[k + 3] : a;
      const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
      const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
      const __m512 low = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
      const __m512 high = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
      const __m512 quarters = _mm512_add_ps(low, high);
      const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
      _mm_storeu_ps(reinterpret_cast<float*>(totals) + k,
                    _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
    }
    return;
  }
#endif
  for (int k = 0; k < N; ++k) totals[k] = sum<T>(v[k]);
}

/// Lanes a_0, b_0, a_1, b_1 .. of the first halves of two vectors, or of the second.
template <class T, bool Second, size_t... Lane>
inline Vector<T> interleave(Vector<T> a, Vector<T> b, std::index_sequence<Lane...>) {
  constexpr int W = kWidth<T>;
  return __builtin_shuffle(a, b, Integers<T>{(Lane % 2 ? W : 0) + int(Lane) / 2 + (Second ? W / 2 : 0)...});
}

/// Transpose a square of as many vectors as lanes.
template <class T>
inline void transpose(Vector<T>* v) {
  constexpr int W = kWidth<T>;
  using Lanes = std::make_index_sequence<W>;
  for (int step = 1; step < W; step *= 2) {  // each step rotates the bits of (row, lane) by one
    Vector<T> next[W];
    for (int k = 0; k < W / 2; ++k) {
      next[2 * k] = interleave<T, false>(v[k], v[k + W / 2], Lanes{});
      next[2 * k + 1] = interleave<T, true>(v[k], v[k + W / 2], Lanes{});
    }
    for (int k = 0; k < W; ++k) v[k] = next[k];
  }
}

}  // namespace multiace
