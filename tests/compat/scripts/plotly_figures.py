"""Figures of plotly, alone and in a list of values."""

import plotly.graph_objects as go
import wandb

wandb.init(project="figures")
for angle in range(2):
    figure = go.Figure(go.Scatter(x=[0, 1, 2], y=[angle, 1, 2]))
    wandb.log({"angle": angle, "figure": figure, "wrapped": wandb.Plotly(figure)})
wandb.finish()
