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
    Promise("receipts", "C", "sending:receipts", (Figure("untrue", "x"),Figure("closing", "x")), {"cancels":1000}, {"cancels":50}, {"cancels":10000}),
)
PROMISES += (
    Promise("close", "C", "closing:close", (Figure("echoed", "x",0.2,"s"),Figure("silent","y",1.2,"s"),Figure("sending","y",1.2,"s"),Figure("cancelled","y",.2,"s"),Figure("open","y",.2,"s")), {"rounds":3}, {"rounds":1}, {"rounds":10}),
    Promise("closed", "C", "closing:again", (Figure("wrong", "x"),Figure("worst","y",0.2,"s")), {"rounds":10}, {"rounds":1}, {"rounds":10}),
    Promise("readers", "C", "receiving:two", (Figure("lost", "x"),Figure("told","y",0.05,"s")), {"messages":1000}, {"messages":10}, {"messages":10000}),
    Promise("dropped", "C", "receiving:dropped", (Figure("left", "x"),Figure("cpu","y",5,"%")), {"rounds":20,"idle_ms":1000}, {"rounds":2,"idle_ms":100}, {"rounds":20,"idle_ms":1000}),
)
PROMISES += (
    Promise("exceptions", "C", "exceptions:shapes", (Figure("single", "x"),Figure("pairs", "x")), {"rounds":3}, {"rounds":1}, {"rounds":10}),
    Promise("handlers", "C", "handlers:handlers", (Figure("raises", "x",.1,"s"),Figure("cancelled", "x",.1,"s"),Figure("hangs", "x",.5,"s"),Figure("said","z")), {"rounds":5}, {"rounds":1}, {"rounds":10}),
    Promise("around", "C", "surroundings:around", (Figure("wrong", "x"),), {}, {}, {}),
)
