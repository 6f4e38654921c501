// Vectors of one instruction set: a lane type, loads and stores of full and partial vectors.
//
// The width of `Vector<T>` must be that of the instruction set the file is compiled for: wider
// types compile too, into code that is many times slower.
#pragma once

#include <cstdint>
#include <cstring>
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

template <class T>
struct Simd {
  typedef T Vector __attribute__((vector_size(kVectorBytes), may_alias));
  typedef T Unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
  static constexpr int kWidth = kVectorBytes / sizeof(T);
};
template <class T>
using Vector = typename Simd<T>::Vector;
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

}  // namespace multiace
