"""The gymnasium ids of this package; names only, so that importing it loads nothing heavy."""

import gymnasium


def register_environments() -> None:
    """Register RegimeTrading-v0 and RegimePortfolio-v0 once."""
    if "RegimeTrading-v0" not in gymnasium.registry:
        gymnasium.register(
            id="RegimeTrading-v0",
            entry_point="regimegym.envs.trading_env:TradingEnv",
            vector_entry_point="regimegym.envs.vector_env:TradingVectorEnv",
        )
    if "RegimePortfolio-v0" not in gymnasium.registry:
        gymnasium.register(
            id="RegimePortfolio-v0",
            entry_point="regimegym.envs.portfolio_env:PortfolioEnv",
            vector_entry_point="regimegym.envs.portfolio_env:PortfolioVectorEnv",
        )
