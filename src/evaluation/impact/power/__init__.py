"""Before a study: what effect a design of a size can find, what size an effect needs, and what it costs."""
