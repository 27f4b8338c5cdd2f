/*
 * test_exact_number.cpp - unit tests of sums of floating-point numbers without error.
 */
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <csetjmp>
#include <limits>
#include <random>
#include <vector>
extern "C"
{
#include <cmocka.h>
}

#include "base/exact_number.hpp"

using tw::ExactNumber;

static ExactNumber
sum_of(const std::vector<double> &values)
{
	ExactNumber sum;

	sum.clear();
	for (double value : values)
		sum.add(value, 1);
	return sum;
}

static void
assert_same(double a, double b)
{
	assert_memory_equal(&a, &b, sizeof a);
}

static bool
same_bytes(const ExactNumber &a, const ExactNumber &b)
{
	unsigned char x[ExactNumber::kMaxBytes];
	unsigned char y[ExactNumber::kMaxBytes];
	std::size_t n = a.write(x);

	return n == b.write(y) && std::memcmp(x, y, n) == 0;
}

/* Doubles of all sizes and signs, subnormal ones among them. */
static double
any_double(std::mt19937_64 &random)
{
	for (;;)
	{
		uint64_t bits = random();
		double value;

		std::memcpy(&value, &bits, sizeof value);
		if (std::isfinite(value))
			return value;
	}
}

static void
small_sums(void **)
{
	assert_same(sum_of({}).to_double(), 0);
	assert_same(sum_of({0.1}).to_double(), 0.1);
	assert_same(sum_of({-0.1}).to_double(), -0.1);
	assert_same(sum_of({1.5, 2.25, -8}).to_double(), -4.25);
	assert_same(sum_of({0.1, 0.2, 0.3}).to_double(), 0.6);
	assert_same(sum_of({1e300, 1, -1e300}).to_double(), 1);
	assert_same(sum_of({1e300, -1e300}).to_double(), 0);
	assert_true(sum_of({1e300, 0.5, -1e300, -0.5}).is_zero());
}

static void
rounding(void **)
{
	double half_ulp = std::ldexp(1.0, -53);
	double tiny = std::numeric_limits<double>::denorm_min();
	double max = std::numeric_limits<double>::max();

	assert_same(sum_of({1, half_ulp}).to_double(), 1);
	assert_same(sum_of({1, half_ulp, tiny}).to_double(), 1 + 2 * half_ulp);
	assert_same(sum_of({1, half_ulp, -tiny}).to_double(), 1);
	assert_same(sum_of({1 + 2 * half_ulp, half_ulp}).to_double(), 1 + 4 * half_ulp);
	assert_same(sum_of({tiny, tiny, tiny}).to_double(), 3 * tiny);
	assert_same(sum_of({tiny, tiny, tiny}).quotient(2), 2 * tiny);
	assert_same(sum_of({tiny}).quotient(2), 0);
	assert_same(sum_of({tiny}).quotient(1000000), 0);
	assert_same(sum_of({max}).to_double(), max);
	assert_true(std::isinf(sum_of({max, max}).to_double()));
	assert_same(sum_of({max, max}).quotient(2), max);
	assert_true(sum_of({-max, -max}).to_double() == -HUGE_VAL);
	assert_true(sum_of({1, half_ulp}).to_float() == 1.0f);
	assert_true(sum_of({0.1f, 0.2f}).to_float() == (float) (0.1f + (double) 0.2f));
	assert_true(std::isinf(sum_of({3e38, 3e38}).to_float()));
}

/* Any order of any additions and removals gives the same bytes, and removing all of them nothing. */
static void
no_history(void **)
{
	std::mt19937_64 random(1);

	for (int turn = 0; turn < 300; turn++)
	{
		std::vector<double> values;
		for (int i = 0; i < 40; i++)
			values.push_back(any_double(random));

		ExactNumber once = sum_of(values);
		ExactNumber other;
		other.clear();
		for (double value : values)
			other.add(value, -3);
		std::shuffle(values.begin(), values.end(), random);
		for (double value : values)
			other.add(value, 4);
		assert_true(same_bytes(once, other));

		ExactNumber gone = once;
		gone.negate();
		gone.add(other);
		assert_true(gone.is_zero());
	}
}

/* What fits into integers is computed with them. */
static void
against_integers(void **)
{
	std::mt19937_64 random(2);

	for (int turn = 0; turn < 20000; turn++)
	{
		__int128 sum = 0;
		__int128 squares = 0;
		ExactNumber number;
		ExactNumber square;
		int n = 1 + random() % 20;

		number.clear();
		square.clear();
		for (int i = 0; i < n; i++)
		{
			int64_t value = (int64_t) (random() >> 34) - (1 << 29);
			int64_t weight = (int64_t) (random() % 9) - 4;

			sum += value * weight;
			squares += (__int128) value * value * weight;
			number.add(std::ldexp((double) value, -20), weight);
			square.add_product(std::ldexp((double) value, -20), std::ldexp((double) value, -20),
							   weight);
		}
		assert_same(number.to_double(), std::ldexp((double) (int64_t) sum, -20));
		assert_same(square.to_double(), std::ldexp((double) squares, -40));

		/* n * squares - sum * sum, and a quotient of integers that doubles hold */
		ExactNumber product;
		product.set_product(number, number);
		product.negate();
		square.multiply(n);
		square.add(product);
		assert_same(square.to_double(), std::ldexp((double) (squares * n - sum * sum), -40));
		uint64_t divisor = 1 + random() % 1000;
		assert_same(number.quotient(divisor),
					std::ldexp((double) (int64_t) sum / (double) divisor, -20));
	}
}

static void
written_and_read(void **)
{
	std::mt19937_64 random(3);

	for (int turn = 0; turn < 1000; turn++)
	{
		unsigned char bytes[ExactNumber::kMaxBytes];
		ExactNumber number = sum_of({any_double(random), any_double(random)});
		ExactNumber read;
		std::size_t n = number.write(bytes);

		assert_int_equal(read.read(bytes), n);
		assert_same(read.to_double(), number.to_double());
		assert_true(same_bytes(number, read));
	}
}

int
main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_sums),       cmocka_unit_test(rounding),
		cmocka_unit_test(no_history),       cmocka_unit_test(against_integers),
		cmocka_unit_test(written_and_read),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
