/* What the arithmetic kernels share: one order of summation, and how the compiler makes SIMD of it.
 *
 * Floating-point sums depend on their order, so the order is part of each kernel's contract. It follows
 * from the sizes alone, never from the width of a register, the number of threads or the alignment of an
 * array, and nothing is contracted to a fused multiply-add (-ffp-contract=off): the same input gives the
 * same bits on every machine. A sum over a vector uses SB_LANES lanes:
 *
 *     lane[l] = x[l] + x[l + SB_LANES] + x[l + 2 * SB_LANES] + ...       from left to right
 *     total   = lane[0..8) + lane[8..16), then the halves of that, and so on */
#ifndef SB_SIMD_H
#define SB_SIMD_H

enum { SB_LANES = 16 };

/* Builds a function for several instruction sets and picks one when the library is loaded (glibc only). Bits
 * are the same in each, so this changes time alone. Sanitizers cannot run in the resolver. */
#if defined(__gnu_linux__) && defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__clang__) && !defined(SB_ONE_TARGET)
#define SB_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SB_CLONES
#endif

#endif
