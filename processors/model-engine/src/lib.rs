//! Model providers, context, budgets and playbooks.
