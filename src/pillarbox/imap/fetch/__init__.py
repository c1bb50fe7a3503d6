"""FETCH's items, one module for each family; each registers itself in `item.ITEM` (RFC 9051 §6.4.5, §7.5.2)."""
