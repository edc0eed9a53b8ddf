module nacosx.test/lines

go 1.21
