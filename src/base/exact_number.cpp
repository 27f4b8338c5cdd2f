/*
 * exact_number.cpp - sums of floating-point numbers without any error.
 */
#include "base/exact_number.hpp"

#include <cmath>
#include <cstring>

namespace tw
{

namespace
{

using uint128 = unsigned __int128;

struct Parts
{
	uint64_t mantissa;
	int exponent; /* of the mantissa's lowest bit */
	bool negative;
};

Parts
split(double x)
{
	uint64_t bits;
	std::memcpy(&bits, &x, sizeof bits);

	int exponent = (int) (bits >> 52 & 0x7ff);
	uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
	if (exponent > 0)
		mantissa |= uint64_t{1} << 52;
	else
		exponent = 1;
	return {mantissa, exponent - 1075, (bits >> 63) != 0};
}

uint64_t
magnitude(int64_t weight)
{
	return weight < 0 ? -static_cast<uint64_t>(weight) : static_cast<uint64_t>(weight);
}

/* A format's number of significant bits, and the exponents of its smallest normal and largest numbers. */
struct Format
{
	int precision;
	int smallest;
	int largest;
};

constexpr Format kDouble = {53, -1022, 1023};
constexpr Format kFloat = {24, -126, 127};

/*
 * Rounds words * 2^exponent to the format, ties to even. `more`: the true value
 * is a little larger.
 */
double
round_to(const Format &format, const uint64_t *words, int n, int exponent, bool more)
{
	while (n > 0 && words[n - 1] == 0)
		n--;
	if (n == 0)
		return 0;

	int bits = 64 * n - __builtin_clzll(words[n - 1]);
	int top = bits - 1 + exponent;
	int kept = format.precision;
	if (top < format.smallest)
		kept -= format.smallest - top;
	if (kept < 0)
		return 0;

	/* The kept bits; then the first bit that goes, and whether there are others. */
	int cut = bits - kept;
	uint64_t mantissa = 0;
	for (int i = bits - 1; i >= cut && i >= 0; i--)
		mantissa = mantissa << 1 | (words[i / 64] >> (i % 64) & 1);
	if (cut < 0)
		mantissa <<= -cut;
	if (cut > 0)
	{
		bool half = (words[(cut - 1) / 64] >> ((cut - 1) % 64) & 1) != 0;

		for (int i = 0; !more && i < (cut - 1) / 64; i++)
			more = words[i] != 0;
		if (!more && (cut - 1) % 64 > 0)
			more = (words[(cut - 1) / 64] << (64 - (cut - 1) % 64)) != 0;
		if (half && (more || (mantissa & 1) != 0))
			mantissa++;
	}

	double result = std::ldexp(static_cast<double>(mantissa), cut + exponent);
	return result >= std::ldexp(1.0, format.largest) * 2 ? HUGE_VAL : result;
}

} // namespace

void
ExactNumber::clear()
{
	first_ = end_ = kPoint;
}

uint64_t
ExactNumber::word(int i) const
{
	if (i < first_)
		return 0;
	if (i < end_)
		return words_[i];
	return is_negative() ? ~uint64_t{0} : 0;
}

/* Spells out the words from `from` to `to`. */
void
ExactNumber::cover(int from, int to)
{
	if (to > kWords)
		to = kWords;
	if (first_ == end_)
	{
		first_ = from;
		end_ = from;
	}

	uint64_t sign = is_negative() ? ~uint64_t{0} : 0;
	while (first_ > from)
		words_[--first_] = 0;
	while (end_ < to)
		words_[end_++] = sign;
}

void
ExactNumber::trim()
{
	while (end_ - first_ >= 2 &&
		   words_[end_ - 1] == ((words_[end_ - 2] >> 63) != 0 ? ~uint64_t{0} : 0))
		end_--;
	while (end_ - first_ >= 2 && words_[first_] == 0)
		first_++;
	if (end_ - first_ == 1 && words_[first_] == 0)
		clear();
}

/* Adds +-words * 2^bit, where bit 0 is the lowest one that is kept; n <= 4. */
void
ExactNumber::add_magnitude(const uint64_t *words, int n, int bit, bool negative)
{
	int at = bit / 64;
	int shift = bit % 64;
	uint128 carry = negative ? 1 : 0;

	cover(at, (end_ > at + n + 1 ? end_ : at + n + 1) + 1);
	for (int i = at; i < end_; i++)
	{
		int j = i - at;
		uint64_t low = j < n ? words[j] << shift : 0;
		uint64_t high = shift > 0 && j > 0 && j <= n ? words[j - 1] >> (64 - shift) : 0;
		uint64_t addend = low | high;

		carry += (uint128) words_[i] + (negative ? ~addend : addend);
		words_[i] = (uint64_t) carry;
		carry >>= 64;
		if (j > n && !negative && carry == 0)
			break;
	}
	trim();
}

void
ExactNumber::add(double x, int64_t weight)
{
	Parts parts = split(x);
	uint128 product = (uint128) parts.mantissa * magnitude(weight);
	uint64_t words[2] = {(uint64_t) product, (uint64_t) (product >> 64)};

	if (product != 0)
		add_magnitude(words, 2, parts.exponent + 64 * kPoint, parts.negative != (weight < 0));
}

void
ExactNumber::add_product(double x, double y, int64_t weight)
{
	Parts a = split(x);
	Parts b = split(y);
	uint128 product = (uint128) a.mantissa * b.mantissa;
	uint64_t factor = magnitude(weight);
	uint128 low = (uint128) (uint64_t) product * factor;
	uint128 high = (uint128) (uint64_t) (product >> 64) * factor + (uint64_t) (low >> 64);
	uint64_t words[3] = {(uint64_t) low, (uint64_t) high, (uint64_t) (high >> 64)};

	if (product != 0 && factor != 0)
		add_magnitude(words, 3, a.exponent + b.exponent + 64 * kPoint,
					  (a.negative != b.negative) != (weight < 0));
}

void
ExactNumber::add(const ExactNumber &other)
{
	uint128 carry = 0;

	if (other.is_zero())
		return;
	cover(other.first_, (end_ > other.end_ ? end_ : other.end_) + 1);
	for (int i = other.first_; i < end_; i++)
	{
		carry += (uint128) words_[i] + other.word(i);
		words_[i] = (uint64_t) carry;
		carry >>= 64;
	}
	trim();
}

void
ExactNumber::negate()
{
	uint128 carry = 1;

	if (is_zero())
		return;
	cover(first_, end_ + 1);
	for (int i = first_; i < end_; i++)
	{
		carry += ~words_[i];
		words_[i] = (uint64_t) carry;
		carry >>= 64;
	}
	trim();
}

void
ExactNumber::multiply(uint64_t factor)
{
	bool negative = is_negative();
	uint128 carry = 0;

	if (negative)
		negate();
	cover(first_, end_ + 2);
	for (int i = first_; i < end_; i++)
	{
		carry += (uint128) words_[i] * factor;
		words_[i] = (uint64_t) carry;
		carry >>= 64;
	}
	trim();
	if (negative)
		negate();
}

void
ExactNumber::set_product(const ExactNumber &a, const ExactNumber &b)
{
	ExactNumber x = a;
	ExactNumber y = b;
	bool negative = x.is_negative() != y.is_negative();

	if (x.is_negative())
		x.negate();
	if (y.is_negative())
		y.negate();
	clear();
	for (int i = x.first_; i < x.end_; i++)
		for (int j = y.first_; j < y.end_; j++)
		{
			uint128 product = (uint128) x.words_[i] * y.words_[j];
			uint64_t words[2] = {(uint64_t) product, (uint64_t) (product >> 64)};

			if (product != 0)
				add_magnitude(words, 2, 64 * (i + j - kPoint), negative);
		}
}

double
ExactNumber::quotient(uint64_t divisor) const
{
	constexpr int kMore = 3; /* words below the lowest, for the digits of the quotient */
	ExactNumber dividend = *this;
	uint64_t digits[kWords + kMore] = {};
	uint128 remainder = 0;

	if (is_zero())
		return 0;
	if (is_negative())
		dividend.negate();

	int bottom = dividend.first_ - (divisor > 1 ? kMore : 0);
	for (int i = dividend.end_ - 1; i >= bottom; i--)
	{
		uint128 part = remainder << 64 | dividend.word(i);

		digits[i - bottom] = (uint64_t) (part / divisor);
		remainder = part % divisor;
	}

	double result = round_to(kDouble, digits, dividend.end_ - bottom, 64 * (bottom - kPoint),
							 remainder != 0);
	return is_negative() ? -result : result;
}

float
ExactNumber::to_float() const
{
	ExactNumber size = *this;

	if (is_zero())
		return 0;
	if (is_negative())
		size.negate();

	double result = round_to(kFloat, size.words_ + size.first_, size.end_ - size.first_,
							 64 * (size.first_ - kPoint), false);
	return static_cast<float>(is_negative() ? -result : result);
}

std::size_t
ExactNumber::write(unsigned char *to) const
{
	to[0] = (unsigned char) first_;
	to[1] = (unsigned char) (end_ - first_);
	std::memcpy(to + 2, words_ + first_, sizeof(uint64_t) * (end_ - first_));
	return 2 + sizeof(uint64_t) * (end_ - first_);
}

std::size_t
ExactNumber::read(const unsigned char *from)
{
	first_ = from[0];
	end_ = first_ + from[1];
	std::memcpy(words_ + first_, from + 2, sizeof(uint64_t) * from[1]);
	return 2 + sizeof(uint64_t) * from[1];
}

} // namespace tw
