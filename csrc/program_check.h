// Whether a program that was read makes sense, so that who runs it need not ask.
#pragma once

#include <sstream>
#include <string>

#include "program.h"

namespace multiace {

/// Check arrays, operations, tables and constants, and how they fit together.
/// Throws ProgramError.
void check(const Program& program);

/// Text and numbers as one string.
template <class... Parts>
std::string joined(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

}  // namespace multiace
