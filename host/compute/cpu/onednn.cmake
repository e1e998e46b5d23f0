# The CPU device needs no oneDNN: its own kernels do the dense work, because panels, fused epilogues and results that are the same
# for every number of threads have to come from one place. The target stands for a library that a build may want to add.
add_library(vlm_onednn INTERFACE)
