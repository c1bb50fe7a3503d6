"""The store in memory: the verified fake that ships with the package, held to the same contract as the others."""
