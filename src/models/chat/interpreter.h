#pragma once

#include <string>

#include "models/chat/syntax.h"
#include "models/chat/value.h"

namespace scant::chat {

/// What the statements print, with the variables `globals`. Templates come from files that nobody
/// checked: time, memory and depth are bounded. Throws Error naming the line and what is wrong.
std::string render(const Body& body, Dict globals);

}  // namespace scant::chat
