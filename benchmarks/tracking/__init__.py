"""Mirror runs to MLflow."""
