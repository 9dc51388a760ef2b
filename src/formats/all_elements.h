#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "formats/elements/binary.h"
#include "formats/elements/element.h"
#include "formats/elements/float.h"
#include "formats/elements/gguf_block.h"
#include "formats/elements/hbfp.h"
#include "formats/elements/int.h"
#include "formats/elements/mx.h"
#include "formats/elements/nf4.h"
#include "formats/elements/nvfp4.h"
#include "formats/elements/plain.h"
#include "formats/elements/ternary.h"

namespace scant {

template <ElementFamily... Families>
struct ElementList {
  using Variant = std::variant<Families...>;

  /// Calls f(std::type_identity<Family>{}) for every family, in the order of the list.
  template <typename F>
  static void for_each(F&& f) {
    (f(std::type_identity<Families>{}), ...);
  }
};

/// Every element family there is: parsing, help, codec, tests and documentation follow this list.
using AllElements =
    ElementList<PlainElement, IntElement, FloatElement, MxElement, Nvfp4Element, HbfpElement,
                Nf4Element, TernaryElement, BinaryElement, GgufBlockElement>;

/// A member of one of the families.
using Element = AllElements::Variant;

}  // namespace scant
