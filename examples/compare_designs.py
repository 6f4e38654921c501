"""You will have the size, reach and body orders of three designs, and what sets two apart."""

import multiace
from multiace.design import describe, differences

ELEMENTS = ("H", "C", "O")

# 1. Presets are functions that return a Design; arguments change its fields.
designs = {
    "BOTNet": multiace.presets.botnet("small"),
    "MACE": multiace.presets.mace("small"),
    "MACE of pairs": multiace.presets.mace("small", product_basis={"correlation": 2}),
}

# 2. A Design knows no data and no weights, but everything that follows from its fields.
for name, design in designs.items():
    facts = describe(design, ELEMENTS)
    orders = ", ".join("any" if order is None else str(order) for order in facts.body_orders)
    print(
        f"{name:<14} {facts.active_parameters:>6,} parameters, sees {facts.receptive_field:g} Å, "
        f"body orders {orders}, isolated atom: {facts.atomic_limit}"
    )

# 3. Two designs differ in the fields in which they differ, and in nothing else.
print("\nBOTNet -> MACE")
for field, before, after in differences(designs["BOTNet"], designs["MACE"]):
    print(f"  {field}: {before} -> {after}")

# 4. Designs are compared by content: equal ones have equal hashes, however they were written.
again = multiace.presets.mace("small", update={"self_connection": ["per_element"] * 2})
assert again.content_hash == designs["MACE"].content_hash
print(f"\nMACE is {again.content_hash[:12]}")
