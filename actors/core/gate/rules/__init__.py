"""The rules of the gate, and which of them a configured rule is. One line a rule."""

from collections.abc import Mapping
from typing import Any

from .....config.schema import rules as schema
from ..rule import Judge
from .collar import PriceCollar
from .consecutive_rejects import ConsecutiveRejects
from .duplicate import DuplicateOrder
from .edge import EdgeFloor
from .fresh import FreshData
from .gross import Concentration, MaxGross, MaxLeverage, MaxTotalNotional
from .hours import SessionHours
from .loss import (
    DailyLoss,
    DailyRealizedLoss,
    DailyUnrealizedLoss,
    Drawdown,
    PositionLoss,
    WeeklyLoss,
)
from .margin import LiquidationDistance, Margin
from .message_rate import MessageRate
from .net import MaxContracts, MaxNet, MaxOpenPositions
from .order import OrderValidity
from .order_to_fill import OrderToFill
from .orphans import OrphanOrder
from .position import MaxContractsPerInstrument, MaxInventory, MaxPosition
from .post_trade import FeedSilence, RogueOrder, UnknownOrderAge
from .profit import DailyProfit, MaxUnrealizedProfit
from .reducing import ReduceOnlyCorrect
from .repeated_execution import RepeatedExecution
from .self_match import SelfMatch
from .size import MaxOrderNotional, MaxOrderQty
from .stops import StopRequired
from .streak import ConsecutiveLosses, CooldownAfterLoss
from .tail import EsLimit, VarLimit
from .trade import SingleTradeRisk
from .trade_frequency import TradeFrequency
from .trailing import TradeManagement
from .turnover import DailyTurnover
from .who import OrderTypes, StrategyWhitelist, SymbolRestricted
from .word import AuthLoss, Reconciliation
from .working_orders import MaxWorkingOrders

JUDGES: Mapping[type[schema.Rule], type[Judge[Any]]] = {
    schema.AuthLoss: AuthLoss,
    schema.Concentration: Concentration,
    schema.ConsecutiveLosses: ConsecutiveLosses,
    schema.ConsecutiveRejects: ConsecutiveRejects,
    schema.CooldownAfterLoss: CooldownAfterLoss,
    schema.DailyLoss: DailyLoss,
    schema.DailyProfit: DailyProfit,
    schema.DailyRealizedLoss: DailyRealizedLoss,
    schema.DailyTurnover: DailyTurnover,
    schema.DailyUnrealizedLoss: DailyUnrealizedLoss,
    schema.Drawdown: Drawdown,
    schema.DuplicateOrder: DuplicateOrder,
    schema.EdgeFloor: EdgeFloor,
    schema.EsLimit: EsLimit,
    schema.FeedSilence: FeedSilence,
    schema.FreshData: FreshData,
    schema.LiquidationDistance: LiquidationDistance,
    schema.Margin: Margin,
    schema.MaxContracts: MaxContracts,
    schema.MaxContractsPerInstrument: MaxContractsPerInstrument,
    schema.MaxGross: MaxGross,
    schema.MaxInventory: MaxInventory,
    schema.MaxLeverage: MaxLeverage,
    schema.MaxNet: MaxNet,
    schema.MaxOpenPositions: MaxOpenPositions,
    schema.MaxOrderNotional: MaxOrderNotional,
    schema.MaxOrderQty: MaxOrderQty,
    schema.MaxPosition: MaxPosition,
    schema.MaxTotalNotional: MaxTotalNotional,
    schema.MaxUnrealizedProfit: MaxUnrealizedProfit,
    schema.MaxWorkingOrders: MaxWorkingOrders,
    schema.MessageRate: MessageRate,
    schema.OrderToFill: OrderToFill,
    schema.OrderTypes: OrderTypes,
    schema.OrderValidity: OrderValidity,
    schema.OrphanOrder: OrphanOrder,
    schema.PositionLoss: PositionLoss,
    schema.PriceCollar: PriceCollar,
    schema.Reconciliation: Reconciliation,
    schema.ReduceOnlyCorrect: ReduceOnlyCorrect,
    schema.RepeatedExecution: RepeatedExecution,
    schema.RogueOrder: RogueOrder,
    schema.SelfMatch: SelfMatch,
    schema.SessionHours: SessionHours,
    schema.SingleTradeRisk: SingleTradeRisk,
    schema.StopRequired: StopRequired,
    schema.StrategyWhitelist: StrategyWhitelist,
    schema.SymbolRestricted: SymbolRestricted,
    schema.TradeFrequency: TradeFrequency,
    schema.TradeManagement: TradeManagement,
    schema.UnknownOrderAge: UnknownOrderAge,
    schema.VarLimit: VarLimit,
    schema.WeeklyLoss: WeeklyLoss,
}


def judge_of(rule: schema.Rule) -> Judge[Any]:
    """A rule in force."""
    return JUDGES[type(rule)](rule)
