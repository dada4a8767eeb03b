#pragma once

#include <cstdint>
#include <span>

// Loops over numbers in double, for the widest vectors that the processor has. They round alike
// everywhere, unlike a library's functions, so a seed gives the same strings on every machine.
namespace makemore {

/// Turns each x <= 0 into e^x, to a unit or two in the last place; 0 below -708.
void exp_of_negative(std::span<double> x);

/// How many of the values are not above a limit.
std::int64_t count_up_to(std::span<const double> values, double limit);

}  // namespace makemore
