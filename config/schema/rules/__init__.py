"""`[[rules]]`: what orders, positions and accounts are held to. One struct a rule, by its kind."""

from typing import Annotated

from msgspec import Meta

from .base import LimitRule, OrderRule, Rule, Scope, StateRule
from .collar import PriceCollar
from .edge import EdgeFloor
from .flow import (
    ConsecutiveRejects,
    DailyTurnover,
    FlowRule,
    MaxWorkingOrders,
    MessageRate,
    OrderToFill,
    RepeatedExecution,
    TradeFrequency,
)
from .fresh import FreshData
from .hours import SessionHours
from .loss import (
    DailyLoss,
    DailyRealizedLoss,
    DailyUnrealizedLoss,
    Drawdown,
    LossRule,
    PositionLoss,
    WeeklyLoss,
)
from .margin import LiquidationDistance, Margin, MarginRule, SingleTradeRisk
from .order import OrderTypes, OrderValidity, ReduceOnlyCorrect, StrategyWhitelist, SymbolRestricted
from .portfolio import (
    Concentration,
    EquityRule,
    MaxContracts,
    MaxGross,
    MaxLeverage,
    MaxNet,
    MaxOpenPositions,
    MaxTotalNotional,
    ShareRule,
)
from .position import MaxContractsPerInstrument, MaxInventory, MaxPosition, PositionRule, Sides
from .post_trade import FeedSilence, OrphanOrder, RogueOrder, StopRequired, UnknownOrderAge
from .profit import DailyProfit, MaxUnrealizedProfit
from .repeats import DuplicateOrder, SelfMatch
from .size import MaxOrderNotional, MaxOrderQty
from .streak import ConsecutiveLosses, CooldownAfterLoss
from .tail import EsLimit, TailRule, VarLimit
from .trailing import TradeManagement
from .word import AuthLoss, Reconciliation, WordRule

RULES_MAX = 1_000

AnyRule = (
    AuthLoss
    | Concentration
    | ConsecutiveLosses
    | ConsecutiveRejects
    | CooldownAfterLoss
    | DailyLoss
    | DailyProfit
    | DailyRealizedLoss
    | DailyTurnover
    | DailyUnrealizedLoss
    | Drawdown
    | DuplicateOrder
    | EdgeFloor
    | EsLimit
    | FeedSilence
    | FreshData
    | LiquidationDistance
    | Margin
    | MaxContracts
    | MaxContractsPerInstrument
    | MaxGross
    | MaxInventory
    | MaxLeverage
    | MaxNet
    | MaxOpenPositions
    | MaxOrderNotional
    | MaxOrderQty
    | MaxPosition
    | MaxTotalNotional
    | MaxUnrealizedProfit
    | MaxWorkingOrders
    | MessageRate
    | OrderToFill
    | OrderTypes
    | OrderValidity
    | OrphanOrder
    | PositionLoss
    | PriceCollar
    | Reconciliation
    | ReduceOnlyCorrect
    | RepeatedExecution
    | RogueOrder
    | SelfMatch
    | SessionHours
    | SingleTradeRisk
    | StopRequired
    | StrategyWhitelist
    | SymbolRestricted
    | TradeFrequency
    | TradeManagement
    | UnknownOrderAge
    | VarLimit
    | WeeklyLoss
)
Rules = Annotated[
    tuple[AnyRule, ...],
    Meta(
        max_length=RULES_MAX,
        description="What orders, positions and accounts are held to. Each entry says by `kind` "
        "what it limits.",
    ),
]

__all__ = [
    "RULES_MAX",
    "AnyRule",
    "AuthLoss",
    "Concentration",
    "ConsecutiveLosses",
    "ConsecutiveRejects",
    "CooldownAfterLoss",
    "DailyLoss",
    "DailyProfit",
    "DailyRealizedLoss",
    "DailyTurnover",
    "DailyUnrealizedLoss",
    "Drawdown",
    "DuplicateOrder",
    "EdgeFloor",
    "EquityRule",
    "EsLimit",
    "FeedSilence",
    "FlowRule",
    "FreshData",
    "LimitRule",
    "LiquidationDistance",
    "LossRule",
    "Margin",
    "MarginRule",
    "MaxContracts",
    "MaxContractsPerInstrument",
    "MaxGross",
    "MaxInventory",
    "MaxLeverage",
    "MaxNet",
    "MaxOpenPositions",
    "MaxOrderNotional",
    "MaxOrderQty",
    "MaxPosition",
    "MaxTotalNotional",
    "MaxUnrealizedProfit",
    "MaxWorkingOrders",
    "MessageRate",
    "OrderRule",
    "OrderToFill",
    "OrderTypes",
    "OrderValidity",
    "OrphanOrder",
    "PositionLoss",
    "PositionRule",
    "PriceCollar",
    "Reconciliation",
    "ReduceOnlyCorrect",
    "RepeatedExecution",
    "RogueOrder",
    "Rule",
    "Rules",
    "Scope",
    "SelfMatch",
    "SessionHours",
    "ShareRule",
    "Sides",
    "SingleTradeRisk",
    "StateRule",
    "StopRequired",
    "StrategyWhitelist",
    "SymbolRestricted",
    "TailRule",
    "TradeFrequency",
    "TradeManagement",
    "UnknownOrderAge",
    "VarLimit",
    "WeeklyLoss",
    "WordRule",
]
