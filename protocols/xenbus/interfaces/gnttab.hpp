#pragma once

#include "protocols/xenbus/interfaces/foreign_grants.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// XENBUS GNTTAB: both directions of it.
struct Gnttab {
  static constexpr InterfaceIdentity kIdentity{"GNTTAB",
                                               guid("763679C5-E5C2-4A6D-8B88-6BB02EC42D8E")};
  Grants& grants;
  ForeignGrants& foreign;
};

}  // namespace ringside::xenbus
