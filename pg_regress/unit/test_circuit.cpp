/*
 * test_circuit.cpp - unit tests of the circuit's algebra.
 */
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <csetjmp>
extern "C"
{
#include <cmocka.h>
}

#include "circuit/operator.hpp"
#include "circuit/terms.hpp"

using namespace tw::circuit;

static void
one_changed_input_needs_no_old(void **)
{
	auto terms = delta_terms({false, true, false});

	assert_int_equal(terms.size(), 1);
	assert_true(terms[0].parts[0] == Part::kNew);
	assert_true(terms[0].parts[1] == Part::kDelta);
	assert_true(terms[0].parts[2] == Part::kNew);
}

/* The sum over all terms equals new x new x new - old x old x old for small numbers. */
static void
terms_telescope(void **)
{
	const int now[3] = {7, 5, 11};
	const int delta[3] = {2, -3, 4};

	for (int mask = 0; mask < 8; mask++)
	{
		std::vector<bool> changed = {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0};
		int before = 1;
		int after = 1;
		int sum = 0;

		for (int i = 0; i < 3; i++)
		{
			after *= now[i];
			before *= changed[i] ? now[i] - delta[i] : now[i];
		}
		for (const Term &term : delta_terms(changed))
		{
			int product = 1;

			for (int i = 0; i < 3; i++)
			{
				if (term.parts[i] == Part::kNew)
					product *= now[i];
				else if (term.parts[i] == Part::kDelta)
					product *= delta[i];
				else
					product *= now[i] - delta[i];
			}
			sum += product;
		}
		assert_int_equal(sum, after - before);
	}
}

static void
rendering_indents_inputs(void **)
{
	Operator scan{Kind::kScan, Class::kIncremental, "on sale", "", {}};
	Operator agg{Kind::kAggregate, Class::kKeyed, "by region", "state_1_1", {scan}};
	auto lines = render(agg);

	assert_int_equal(lines.size(), 2);
	assert_string_equal(lines[0].c_str(), "aggregate (keyed) by region  [state_1_1]");
	assert_string_equal(lines[1].c_str(), "  scan (incremental) on sale");
	assert_true(costliest(agg) == Class::kKeyed);
}

int
main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_changed_input_needs_no_old),
		cmocka_unit_test(terms_telescope),
		cmocka_unit_test(rendering_indents_inputs),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
