"""What a script is built without, by its recipe's `kernels`: definitions of `cuda_choice` in fewer words.

The bundler takes what the entry point can reach; these take the places of the doors to what this recipe never opens.
"""

KERNELS_LEFT_OUT: dict[str, dict[tuple[str, str], str]] = {
    "off": {
        ("model.cuda_choice", "kernel_gpt"): '''def kernel_gpt(config: RunConfig, device: torch.device) -> GPT | None:
    """None: this script was built without kernels. Raises ModelError where the configuration wants them."""
    if config.kernels != "off":
        raise ModelError("this script was built with kernels = 'off'; build one whose recipe has others.")
    return None
'''
    },
    "compiled": {
        ("model.cuda_choice", "kernel_ops"): '''def kernel_ops(kernels: str) -> PlainOps:
    """The compiled passes, all that this script was built with. Raises ModelError where others are wanted."""
    if kernels != "compiled":
        raise ModelError("this script was built with kernels = 'compiled'; build one whose recipe has others.")
    return CompiledOps()
'''
    },
    "triton": {},
}
