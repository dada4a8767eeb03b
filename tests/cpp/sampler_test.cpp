#include "sampler.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "errors.h"
#include "excluded_tokens.h"

using namespace makemore;

namespace {

using Ids = std::vector<std::int64_t>;
using Allowed = std::span<const std::uint8_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
const std::array<float, 5> kHalves{std::log(1.F), std::log(8.F), std::log(4.F), std::log(2.F),
                                   std::log(1.F)};

std::int64_t choose(std::span<const float> logits, double coin, const SamplingOptions& options = {},
                    const Ids& excluded = {}) {
  Sampler sampler(options, std::ssize(logits));
  const ExcludedTokens mask(excluded, std::ssize(logits));
  sampler.prepare(logits, excluded.empty() ? Allowed() : mask.allowed());
  return sampler.pick(coin);
}

/// All tokens that some coin chooses.
std::set<std::int64_t> chosen(const SamplingOptions& options, const Ids& excluded = {}) {
  Sampler sampler(options, std::ssize(kHalves));
  const ExcludedTokens mask(excluded, std::ssize(kHalves));
  sampler.prepare(kHalves, mask.allowed());
  std::set<std::int64_t> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(sampler.pick(i / 1000.0));
  return tokens;
}

using Tokens = std::set<std::int64_t>;

}  // namespace

TEST_CASE("a coin chooses the token whose share of the unit interval holds it") {
  // Shares are 1/16, 8/16, 4/16, 2/16, 1/16.
  CHECK(choose(kHalves, 0.0) == 0);
  CHECK(choose(kHalves, 0.0624) == 0);
  CHECK(choose(kHalves, 0.0626) == 1);
  CHECK(choose(kHalves, 0.5624) == 1);
  CHECK(choose(kHalves, 0.5626) == 2);
  CHECK(choose(kHalves, std::nextafter(1.0, 0.0)) == 4);
}

TEST_CASE("a token of probability 0 is never chosen") {
  const std::array<float, 4> logits{-kInfinity, 0, 0, -kInfinity};
  CHECK(choose(logits, 0.0) == 1);
  CHECK(choose(logits, 0.5) == 2);
  CHECK(choose(logits, std::nextafter(1.0, 0.0)) == 2);
}

TEST_CASE("temperature 0 takes the lowest of the most likely ids that is not excluded") {
  const std::array<float, 4> logits{1, 3, 3, 2};
  CHECK(choose(logits, 0.99, {.temperature = 0}) == 1);
  CHECK(choose(logits, 0.0, {.temperature = 0}, {1}) == 2);
  CHECK(choose(logits, 0.0, {.temperature = 0}, {1, 2}) == 3);
}

TEST_CASE("the filters keep what they promise") {
  CHECK(chosen({}) == Tokens{0, 1, 2, 3, 4});
  CHECK(chosen({.top_k = 2}) == Tokens{1, 2});
  CHECK(chosen({.top_k = 4}) == Tokens{0, 1, 2, 3});  // the lower id of a tie
  CHECK(chosen({.top_k = 99}) == Tokens{0, 1, 2, 3, 4});
  CHECK(chosen({.top_p = 0.49}) == Tokens{1});
  CHECK(chosen({.top_p = 0.51}) == Tokens{1, 2});
  CHECK(chosen({.min_p = 0.4}) == Tokens{1, 2});
  CHECK(chosen({}, {1, 3}) == Tokens{0, 2, 4});
}

TEST_CASE("filters work in their order: excluded tokens, top_k, top_p, min_p") {
  // Without token 1: 1/8, 1/2, 1/4, 1/8.
  CHECK(chosen({.top_p = 0.6}, {1}) == Tokens{2, 3});
  CHECK(chosen({.top_k = 2, .top_p = 0.6}, {1}) == Tokens{2});
  CHECK(chosen({.min_p = 0.4}, {1}) == Tokens{2, 3});
}

TEST_CASE("an option outside its range is refused") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(Sampler({.temperature = -1}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.temperature = nan}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.temperature = HUGE_VAL}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.top_k = -1}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.top_p = 0}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.top_p = nan}, 5), OptionError);
  CHECK_THROWS_AS(Sampler({.min_p = 1.5}, 5), OptionError);
  CHECK_THROWS_AS(ExcludedTokens(Ids{5}, 5), OptionError);
  CHECK_THROWS_AS(ExcludedTokens(Ids{-1}, 5), OptionError);
  CHECK_THROWS_WITH(Sampler({.min_p = -1e-9}, 5), "min_p is -1e-09; it must be >= 0 and <= 1");
}

TEST_CASE("logits that give no distribution are the fault of the artifact") {
  CHECK_THROWS_AS(choose(std::array{0.F, kNaN}, 0.5), ArtifactError);
  CHECK_THROWS_AS(choose(std::array{0.F, kInfinity}, 0.5), ArtifactError);
  CHECK_THROWS_AS(choose(std::array{-kInfinity, -kInfinity}, 0.5), ArtifactError);
  CHECK_THROWS_AS(choose(std::array{-kInfinity, 0.F}, 0.5, {}, {1}), OptionError);
}

TEST_CASE("a sampler forgets the row before") {
  Sampler sampler({.top_k = 1}, 3);
  sampler.prepare(std::array{0.F, 1.F, 2.F});
  CHECK(sampler.pick(0.5) == 2);
  sampler.prepare(std::array{2.F, 1.F, -kInfinity});
  CHECK(sampler.pick(0.999) == 0);
}

TEST_CASE("log_sum_exp neither overflows nor accepts what is not finite") {
  CHECK(log_sum_exp(kHalves) == doctest::Approx(std::log(16.0)));
  CHECK(log_sum_exp(std::array{1e38F, -1e38F}) == doctest::Approx(1e38));
  CHECK(log_sum_exp(std::array{-kInfinity, 0.F}) == 0);
  CHECK_THROWS_AS(log_sum_exp(std::array{0.F, kNaN}), ArtifactError);
  CHECK_THROWS_AS(log_sum_exp(std::array{kNaN, 0.F}), ArtifactError);
  CHECK_THROWS_AS(log_sum_exp(std::array{0.F, kInfinity}), ArtifactError);
  CHECK_THROWS_AS(log_sum_exp(std::array{-kInfinity}), ArtifactError);
}
