#include <gtest/gtest.h>

#include "conformance/cli/verbs.hpp"

int main(int argc, char** argv) {
  // Google Test gets no arguments: its flags are not part of this program's interface.
  int gtest_argc = 1;
  testing::InitGoogleTest(&gtest_argc, argv);
  return ringside::conformance::run_program(argc, argv);
}
