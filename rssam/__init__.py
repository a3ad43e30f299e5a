"""The paper's model: RS-SAM and the parts of SAM it is made of."""
