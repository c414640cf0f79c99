"""The promises."""
from .promises import Figure, Promise
PROMISES = (
    Promise("split", "The wire", "wire:split", (Figure("differences", "x"),), {"examples": 2000}, {"examples": 100}, {"examples": 20000}),
    Promise("hostile", "The wire", "wire:hostile", (Figure("escaped", "x"),Figure("worst","y",100,"ms")), {"rounds": 3}, {"rounds": 1}, {"rounds": 10}),
)
PROMISES += (
    Promise("cancel", "C", "cancelling:suspensions", (Figure("left", "x"),Figure("wrong", "x"),Figure("worst","y",0.11,"s")), {}, {}, {}),
    Promise("ticks", "C", "cancelling:ticks", (Figure("left", "x"),Figure("wrong", "x"),Figure("worst","y",0.11,"s")), {}, {}, {}),
    Promise("torn", "C", "sending:torn", (Figure("bytes", "x"),), {"mib":8}, {"mib":1}, {"mib":8}),
    Promise("piled", "C", "sending:piled", (Figure("held", "x",256,"KiB"),), {"sends":200}, {"sends":10}, {"sends":200}),
    Promise("blocked", "C", "sending:blocked", (Figure("waits", "x"),Figure("held", "x",1.25,"MiB")), {"chunk":960}, {"chunk":960}, {"chunk":960}),
    Promise("receipts", "C", "sending:receipts", (Figure("untrue", "x"),), {"cancels":1000}, {"cancels":50}, {"cancels":10000}),
)
