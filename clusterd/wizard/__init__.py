"""May this machine be protected, and what would that take? Pure: facts in, eligibility and a plan out."""
