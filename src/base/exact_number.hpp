/*
 * exact_number.hpp - sums of floating-point numbers without any error.
 *
 * A signed fixed-point binary number, so wide that it holds every sum of up to
 * 2^63 doubles or products of two doubles exactly: 34 words of 64 bits below the
 * binary point and 34 above it (a long accumulator after Kulisch). Two's
 * complement. Only the words between the lowest and the highest that matter are
 * kept, which for numbers of ordinary size are two or three.
 *
 * Plain data without constructors: it may live in memory of the server, and be
 * abandoned by its errors.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace tw
{

class ExactNumber
{
  public:
	static constexpr int kWords = 68;
	static constexpr int kPoint = 34; /* words below the binary point */

	/* Makes it zero; to be called first. */
	void clear();

	bool is_zero() const { return first_ == end_; }

	/* Adds a finite double, weight times. */
	void add(double x, int64_t weight);

	/* Adds the product of two finite doubles, weight times. */
	void add_product(double x, double y, int64_t weight);

	void add(const ExactNumber &other);

	/* Makes it its own negative. */
	void negate();

	/* Multiplies it by a factor. */
	void multiply(uint64_t factor);

	/* Makes it the product of two numbers that are sums of doubles. */
	void set_product(const ExactNumber &a, const ExactNumber &b);

	/* The nearest double, ties to even; an infinity where it is too large. */
	double to_double() const { return quotient(1); }

	/* The nearest float, ties to even. */
	float to_float() const;

	/* The double nearest to this number divided by a positive divisor. */
	double quotient(uint64_t divisor) const;

	/* Equal numbers have equal bytes. At most kMaxBytes. */
	static constexpr std::size_t kMaxBytes = 2 + 8 * kWords;
	std::size_t write(unsigned char *to) const;
	std::size_t read(const unsigned char *from);

  private:
	bool is_negative() const { return first_ < end_ && (words_[end_ - 1] >> 63) != 0; }
	uint64_t word(int i) const;
	void cover(int from, int to);
	void trim();
	void add_magnitude(const uint64_t *words, int n, int bit, bool negative);

	/* The value is the words from first_ to end_; below are zeros, above are copies of the sign. */
	int first_;
	int end_;
	uint64_t words_[kWords];
};

} // namespace tw
