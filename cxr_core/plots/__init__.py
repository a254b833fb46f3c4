"""How is a figure drawn? Every function returns a Plotly figure and computes nothing."""
