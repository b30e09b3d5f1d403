"""Pure. The vocabulary that every other package speaks: ids, states, records, events, settings, errors."""
